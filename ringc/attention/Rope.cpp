#include "ringc/attention/Rope.h"

#include "ringc/Float16.h"
#include "ringc/support/Error.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace ringc {

namespace {

struct F32 {
  using Element = float;
  static float load(float value) { return value; }
  static float store(float value) { return value; }
};
struct F16 {
  using Element = uint16_t;
  static float load(uint16_t bits) { return floatFromF16(bits); }
  static uint16_t store(float value) { return f16FromFloat(value); }
};
struct BF16 {
  using Element = uint16_t;
  static float load(uint16_t bits) { return floatFromBF16(bits); }
  static uint16_t store(float value) { return bf16FromFloat(value); }
};

enum class Direction : uint8_t { Forward, Inverse };

void checkTensors(const Tensor &from, const Tensor &to) {
  if (from.rank() != 4 || !isFloat(from.dtype()))
    throw InputError("rope source", describe(from),
                     "f32, f16 or bf16 with four axes: batch, rows, heads, head dim");
  if (to.dtype() != from.dtype() || !std::ranges::equal(to.shape(), from.shape()))
    throw InputError("rope target", describe(to), describe(from));
  for (int axis = 0; axis < to.rank() && !to.empty(); ++axis)
    if (to.dim(axis) > 1 && to.stride(axis) == 0)
      throw InputError("rope target",
                       describe(to) + " with stride 0 on axis " + std::to_string(axis),
                       "a place for each element");
}

/// The dims of a head that turn.
int64_t checkOptions(const RopeOptions &options, int64_t headDim) {
  if (!std::isfinite(options.base) || options.base < 1) {
    std::ostringstream value;
    value << options.base;
    throw InputError("rope base", value.str(), "a finite number, 1 or more");
  }
  if (options.rotaryDims == 0 && headDim % 2 != 0)
    throw InputError("head dim", std::to_string(headDim),
                     "an even number, or rotary dims below it");
  if (options.rotaryDims < 0 || options.rotaryDims > headDim || options.rotaryDims % 2 != 0)
    throw InputError("rotary dims", std::to_string(options.rotaryDims),
                     "an even number up to the head dim, " + std::to_string(headDim) +
                         ", or 0 for all of it");
  return options.rotaryDims == 0 ? headDim : options.rotaryDims;
}

/// They rise, so the end rows bound them; sums of doubles cannot overflow.
void checkPositions(const Positions &at, int64_t rows) {
  if (rows == 0)
    return;
  constexpr double limit = 0x1p31;
  double last = limit;
  if (at.block >= 1 && (rows <= at.block || at.jump >= at.block)) {
    int64_t jumps = (rows - 1) / at.block, rest = (rows - 1) % at.block;
    last = double(at.first) + double(jumps) * double(at.jump) + double(rest);
  }
  if (double(at.first) < -limit || last >= limit)
    throw InputError("positions",
                     "first " + std::to_string(at.first) + ", block " + std::to_string(at.block) +
                         ", jump " + std::to_string(at.jump) + " for " + std::to_string(rows) +
                         " rows",
                     "a block of 1 or more, a jump not below it, and positions from -2^31 to "
                     "2^31 - 1");
}

/// The angles of one position, as what they multiply by.
class Rotation {
public:
  Rotation(int64_t rotaryDims, double base, Direction turn)
      : direction(turn), frequencies(size_t(rotaryDims / 2)), cosines(frequencies.size()),
        sines(frequencies.size()) {
    for (size_t i = 0; i < frequencies.size(); ++i)
      frequencies[i] = std::pow(base, -2 * double(i) / double(rotaryDims));
  }

  void setPosition(int64_t position) {
    double turns = double(direction == Direction::Forward ? position : -position);
    for (size_t i = 0; i < frequencies.size(); ++i) {
      double angle = turns * frequencies[i];
      cosines[i] = float(std::cos(angle));
      sines[i] = float(std::sin(angle));
    }
  }

  int64_t pairs() const { return int64_t(frequencies.size()); }

  /// Turns `pairs` points (a, b).
  void apply(float *__restrict a, float *__restrict b) const {
    const float *__restrict cos = cosines.data(), *__restrict sin = sines.data();
    for (int64_t i = 0, count = pairs(); i < count; ++i) {
      float x = a[i] * cos[i] - b[i] * sin[i];
      b[i] = b[i] * cos[i] + a[i] * sin[i];
      a[i] = x;
    }
  }

private:
  Direction direction;
  std::vector<double> frequencies;
  std::vector<float> cosines, sines;
};

template <typename Format>
void load(const typename Format::Element *from, int64_t step, int64_t count, float *to) {
  if (step == 1)
    for (int64_t i = 0; i < count; ++i)
      to[i] = Format::load(from[i]);
  else
    for (int64_t i = 0; i < count; ++i)
      to[i] = Format::load(from[i * step]);
}

template <typename Format>
void store(const float *from, int64_t count, typename Format::Element *to, int64_t step) {
  if (step == 1)
    for (int64_t i = 0; i < count; ++i)
      to[i] = Format::store(from[i]);
  else
    for (int64_t i = 0; i < count; ++i)
      to[i * step] = Format::store(from[i]);
}

template <typename Format>
void turn(const Tensor &from, const Tensor &to, const Positions &positions,
          RopeOptions::Style style, Rotation rotation) {
  using Element = typename Format::Element;
  int64_t pairs = rotation.pairs(), fromStep = from.stride(3), toStep = to.stride(3);
  int64_t pairStep = style == RopeOptions::Style::Interleaved ? 2 : 1;
  int64_t partner = style == RopeOptions::Style::Interleaved ? 1 : pairs;
  std::vector<float> a(rotation.pairs()), b(a.size());
  for (int64_t row = 0; row < from.dim(1); ++row) {
    rotation.setPosition(positions(row));
    for (int64_t batch = 0; batch < from.dim(0); ++batch)
      for (int64_t head = 0; head < from.dim(2); ++head) {
        auto *x = from.dataAs<Element>() + batch * from.stride(0) + row * from.stride(1) +
                  head * from.stride(2);
        auto *y =
            to.dataAs<Element>() + batch * to.stride(0) + row * to.stride(1) + head * to.stride(2);
        load<Format>(x, pairStep * fromStep, pairs, a.data());
        load<Format>(x + partner * fromStep, pairStep * fromStep, pairs, b.data());
        rotation.apply(a.data(), b.data());
        store<Format>(a.data(), pairs, y, pairStep * toStep);
        store<Format>(b.data(), pairs, y + partner * toStep, pairStep * toStep);
        for (int64_t c = 2 * pairs; c < from.dim(3); ++c)
          y[c * toStep] = x[c * fromStep];
      }
  }
}

void turn(const Tensor &from, const Tensor &to, const Positions &positions,
          const RopeOptions &options, Direction direction) {
  checkTensors(from, to);
  int64_t rotaryDims = checkOptions(options, from.dim(3));
  checkPositions(positions, from.dim(1));
  if (from.empty())
    return;
  Rotation rotation(rotaryDims, options.base, direction);
  switch (from.dtype()) {
  case DType::F32:
    return turn<F32>(from, to, positions, options.style, std::move(rotation));
  case DType::F16:
    return turn<F16>(from, to, positions, options.style, std::move(rotation));
  case DType::BF16:
    return turn<BF16>(from, to, positions, options.style, std::move(rotation));
  case DType::I32:
  case DType::I64:
  case DType::Bool:
    break;
  }
  assert(false && "not a float type");
}

} // namespace

void rope(const Tensor &from, const Tensor &to, const Positions &positions,
          const RopeOptions &options) {
  turn(from, to, positions, options, Direction::Forward);
}

void ropeInverse(const Tensor &from, const Tensor &to, const Positions &positions,
                 const RopeOptions &options) {
  turn(from, to, positions, options, Direction::Inverse);
}

} // namespace ringc
