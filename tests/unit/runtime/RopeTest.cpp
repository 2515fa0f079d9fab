#include "ringc/attention/Rope.h"

#include "ringc/support/Error.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <utility>
#include <vector>

using namespace ringc;

namespace {

using Style = RopeOptions::Style;

constexpr Style styles[] = {Style::HalfSplit, Style::Interleaved};
constexpr DType floats[] = {DType::F32, DType::F16, DType::BF16};

HostTensor randomTensor(DType dtype, std::initializer_list<int64_t> shape) {
  static std::mt19937 random(7);
  std::normal_distribution<float> normal;
  HostTensor exact(DType::F32, shape), rounded(dtype, shape);
  std::generate_n(exact.dataAs<float>(), exact.elementCount(), [&] { return normal(random); });
  convert(exact, rounded);
  return rounded;
}

/// Row-major.
std::vector<float> valuesOf(const Tensor &tensor) {
  HostTensor values(DType::F32, tensor.shape());
  convert(tensor, values);
  return {values.dataAs<float>(), values.dataAs<float>() + values.elementCount()};
}

bool sameBits(const Tensor &a, const Tensor &b) {
  HostTensor x = HostTensor::copyOf(a), y = HostTensor::copyOf(b);
  return x.dtype() == y.dtype() && std::ranges::equal(x.shape(), y.shape()) &&
         std::memcmp(x.data(), y.data(), size_t(x.byteCount())) == 0;
}

/// Half a unit in the last place of one.
double roundingOf(DType dtype) {
  return dtype == DType::F32 ? 0x1p-24 : dtype == DType::F16 ? 0x1p-11 : 0x1p-8;
}

/// The largest error of `got`, in what rounding to its type and f32 arithmetic may be off by.
double worstError(const Tensor &x, const Tensor &got, const Positions &at,
                  const RopeOptions &options) {
  int64_t dims = x.dim(3), rotary = options.rotaryDims ? options.rotaryDims : dims;
  std::vector<float> from = valuesOf(x), to = valuesOf(got);
  double worst = 0;
  for (size_t begin = 0; begin < from.size(); begin += size_t(dims)) {
    int64_t row = int64_t(begin) / dims / x.dim(2) % x.dim(1);
    const float *in = from.data() + begin, *out = to.data() + begin;
    for (int64_t c = 0; c < dims; ++c) {
      if (c >= rotary) {
        worst = in[c] == out[c] ? worst : 1e9;
        continue;
      }
      bool half = options.style == Style::HalfSplit;
      bool second = half ? c >= rotary / 2 : c % 2 == 1;
      int64_t pair = half ? c % (rotary / 2) : c / 2;
      int64_t partner = half ? (c + rotary / 2) % rotary : c ^ 1;
      long double angle = (long double)at(row) *
                          std::pow((long double)options.base, -2.0L * pair / (long double)rotary);
      double right =
          double(in[c] * std::cos(angle) + (second ? in[partner] : -in[partner]) * std::sin(angle));
      double size = std::abs(in[c]) + std::abs(in[partner]);
      double allowed = roundingOf(x.dtype()) * std::abs(right) +
                       (2 * 0x1p-24 + 0x1p-53 * std::abs(double(at(row)))) * size +
                       (x.dtype() == DType::F16 ? 0x1p-25 : 0);
      worst = std::max(worst, std::abs(out[c] - right) / allowed);
    }
  }
  return worst;
}

HostTensor roped(const Tensor &x, const Positions &at, const RopeOptions &options = {}) {
  HostTensor y(x.dtype(), x.shape());
  rope(x, y, at, options);
  return y;
}

} // namespace

TEST_CASE("rope: position 0 changes nothing, position 1 turns by one radian") {
  for (Style style : styles) {
    HostTensor x(DType::F32, {1, 2, 1, 2});
    std::ranges::copy(std::vector<float>{3, 5, 1, 0}, x.dataAs<float>());
    HostTensor y = roped(x, {0, 2, 2}, {.style = style});
    CHECK(y.dataAs<float>()[0] == 3);
    CHECK(y.dataAs<float>()[1] == 5);
    CHECK(y.dataAs<float>()[2] == doctest::Approx(0.5403023));
    CHECK(y.dataAs<float>()[3] == doctest::Approx(0.8414710));
  }
}

TEST_CASE("rope: pairs are halves or neighbours, the second pair of four turns by a hundredth") {
  HostTensor x(DType::F32, {1, 1, 1, 6});
  std::ranges::copy(std::vector<float>{1, 2, 0, 0, 7, 8}, x.dataAs<float>());
  HostTensor half = roped(x, {1, 1, 1}, {.style = Style::HalfSplit, .rotaryDims = 4});
  const double cos1 = std::cos(1.0), sin1 = std::sin(1.0), cos2 = std::cos(0.01),
               sin2 = std::sin(0.01);
  const double halves[] = {cos1, 2 * cos2, sin1, 2 * sin2, 7, 8};
  const double neighbours[] = {cos1 - 2 * sin1, 2 * cos1 + sin1, 0, 0, 7, 8};
  HostTensor inter = roped(x, {1, 1, 1}, {.style = Style::Interleaved, .rotaryDims = 4});
  for (int c = 0; c < 6; ++c) {
    CHECK(half.dataAs<float>()[c] == doctest::Approx(halves[c]));
    CHECK(inter.dataAs<float>()[c] == doctest::Approx(neighbours[c]));
  }
}

TEST_CASE("rope is the formula, for every dtype, style, base, part of the head, and any position") {
  const Positions all[] = {{0, 9, 9},
                           {-4, 9, 9},
                           {5, 3, 12},
                           {3, 1, 8},
                           {(int64_t(1) << 24) - 3, 9, 9},
                           {(int64_t(1) << 24) + 1, 5, 1000},
                           {(int64_t(1) << 31) - 9, 9, 9},
                           {-(int64_t(1) << 31), 9, 9}};
  for (DType dtype : floats)
    for (Style style : styles)
      for (double base : {10000.0, 500000.0, 1.0})
        for (auto [dims, rotary] :
             {std::pair<int64_t, int64_t>{64, 0}, {64, 64}, {2, 0}, {10, 0}, {7, 4}, {300, 2}})
          for (const Positions &at : all) {
            RopeOptions options{.style = style, .base = base, .rotaryDims = rotary};
            CAPTURE(nameOf(dtype));
            CAPTURE(dims);
            CAPTURE(rotary);
            CAPTURE(base);
            CAPTURE(at.first);
            HostTensor x = randomTensor(dtype, {2, 9, 3, dims});
            REQUIRE(worstError(x, roped(x, at, options), at, options) <= 1);
          }
}

TEST_CASE("rope: a row's result depends on its position alone") {
  HostTensor x = randomTensor(DType::F32, {1, 12, 2, 16});
  HostTensor whole = roped(x, {100, 12, 12});
  for (int64_t row = 0; row < 12; ++row)
    CHECK(sameBits(roped(x.view().slice(1, row, 1), {100 + row, 1, 1}),
                   whole.view().slice(1, row, 1)));
}

TEST_CASE("rope: the product of a query and a key depends on their distance alone") {
  HostTensor q = randomTensor(DType::F32, {1, 1, 1, 64}),
             k = randomTensor(DType::F32, {1, 1, 1, 64});
  auto product = [&](int64_t i, int64_t j, Style style) {
    std::vector<float> a = valuesOf(roped(q, {i, 1, 1}, {.style = style})),
                       b = valuesOf(roped(k, {j, 1, 1}, {.style = style}));
    double sum = 0;
    for (size_t c = 0; c < a.size(); ++c)
      sum += double(a[c]) * double(b[c]);
    return sum;
  };
  for (Style style : styles)
    for (int64_t distance : {0, 1, 2, 77, 5000}) {
      double near = product(distance, 0, style);
      for (int64_t key : {int64_t(1), int64_t(4097), (int64_t(1) << 24) + 1})
        CHECK(std::abs(product(key + distance, key, style) - near) < 3e-6);
      CHECK(std::abs(product(2147483647, 2147483647 - distance, style) - near) < 2e-5);
    }
}

TEST_CASE("rope: any strides, and what lies between the elements stays") {
  for (DType dtype : floats)
    for (Style style : styles) {
      RopeOptions options{.style = style, .rotaryDims = 6};
      Positions at{11, 2, 9};
      HostTensor x = randomTensor(dtype, {2, 5, 3, 8});
      HostTensor right = roped(x, at, options);

      HostTensor byHead(dtype, {2, 3, 5, 8}); // [b, h, n, d] in memory
      Tensor permuted = byHead.view().permute({0, 2, 1, 3});
      copy(x, permuted);
      rope(permuted, permuted, at, options);
      CHECK(sameBits(permuted, right));

      HostTensor wide = randomTensor(dtype, {3, 8, 5, 17}); // gaps everywhere, columns apart
      HostTensor before = HostTensor::copyOf(wide);
      const int64_t shape[] = {2, 5, 3, 8};
      const int64_t strides[] = {680, 85, 17, -2};
      size_t element = sizeOf(dtype);
      auto *last = static_cast<std::byte *>(wide.data()) + 15 * element;
      Tensor backwards(last, dtype, shape, strides);
      rope(x, backwards, at, options);
      CHECK(sameBits(backwards, right));
      HostTensor zeros(dtype, shape);
      copy(zeros, backwards);
      auto *old = static_cast<std::byte *>(before.data()) + 15 * element;
      copy(zeros, Tensor(old, dtype, shape, strides));
      CHECK(sameBits(wide, before));

      const int64_t expanded[] = {0, 24, 8, 1};
      HostTensor both(dtype, shape);
      rope(Tensor(x.data(), dtype, shape, expanded), both, at, options);
      CHECK(sameBits(both.view().slice(0, 1, 1), right.view().slice(0, 0, 1)));
    }
}

TEST_CASE("rope in place is rope") {
  for (DType dtype : floats)
    for (Style style : styles)
      for (int64_t dims : {2, 8, 64, 130}) {
        HostTensor x = randomTensor(dtype, {2, 7, 2, dims});
        HostTensor right = roped(x, {1000, 3, 30}, {.style = style});
        rope(x, x, {1000, 3, 30}, {.style = style});
        CHECK(sameBits(x, right));
      }
}

TEST_CASE("ropeInverse turns back; it is the transpose, and rope at the negative position") {
  for (DType dtype : floats)
    for (Style style : styles) {
      RopeOptions options{.style = style, .rotaryDims = 12};
      HostTensor x = randomTensor(dtype, {2, 6, 2, 16}), y = randomTensor(dtype, {2, 6, 2, 16});
      Positions at{(int64_t(1) << 24) + 7, 6, 6};
      HostTensor back(dtype, x.shape());
      ropeInverse(roped(x, at, options), back, at, options);
      std::vector<float> a = valuesOf(x), b = valuesOf(back);
      for (size_t i = 0; i < a.size(); ++i)
        REQUIRE(std::abs(a[i] - b[i]) <= 20 * roundingOf(dtype));

      ropeInverse(y, back, at, options);
      HostTensor forward = roped(x, at, options);
      std::vector<float> ry = valuesOf(back), rx = valuesOf(forward), vy = valuesOf(y);
      double left = 0, right = 0;
      for (size_t i = 0; i < a.size(); ++i) {
        left += double(rx[i]) * double(vy[i]);
        right += double(a[i]) * double(ry[i]);
      }
      CHECK(std::abs(left - right) < 400 * roundingOf(dtype));

      Tensor row = y.view().slice(1, 2, 1);
      CHECK(sameBits(roped(row, {-at(2), 1, 1}, options), back.view().slice(1, 2, 1)));
    }
}

TEST_CASE("rope: NaN and infinity stay in their pair, what is not rotated keeps its bits") {
  HostTensor x = randomTensor(DType::BF16, {1, 1, 1, 8});
  auto *bits = x.dataAs<uint16_t>();
  bits[0] = 0x7f80; // infinity
  bits[6] = 0x7f81; // a signalling NaN
  HostTensor y = roped(x, {1, 1, 1}, {.rotaryDims = 4});
  std::vector<float> values = valuesOf(y);
  CHECK_FALSE(std::isfinite(values[0]));
  CHECK_FALSE(std::isfinite(values[2]));
  CHECK(std::isfinite(values[1]));
  CHECK(std::isfinite(values[3]));
  CHECK(y.dataAs<uint16_t>()[6] == 0x7f81);
}

TEST_CASE("rope of nothing is nothing") {
  for (std::array<int64_t, 4> shape :
       {std::array<int64_t, 4>{0, 3, 1, 4}, {1, 0, 1, 4}, {1, 3, 0, 4}, {1, 3, 1, 0}}) {
    HostTensor x(DType::F32, shape);
    CHECK_NOTHROW(rope(x, x, {0, 3, 3}));
    CHECK_NOTHROW(ropeInverse(x, x, {0, 3, 3}));
  }
  HostTensor none(DType::F32, {1, 0, 1, 4}); // a rank may hold no row of the last positions
  CHECK_NOTHROW(rope(none, none, {int64_t(1) << 31, 1, 1}));
}

TEST_CASE("rope: what cannot be is refused by name, value and what is allowed") {
  HostTensor x(DType::F32, {1, 4, 2, 6}), odd(DType::F32, {1, 4, 2, 7}),
      other(DType::F16, x.shape()), shorter(DType::F32, {1, 3, 2, 6}), flat(DType::F32, {4, 6}),
      whole(DType::I32, x.shape());
  Positions at{0, 4, 4};
  auto refused = [&](const char *message, const Tensor &from, const Tensor &to, const Positions &p,
                     const RopeOptions &options = {}) {
    CHECK_THROWS_WITH_AS(rope(from, to, p, options), message, InputError);
    CHECK_THROWS_WITH_AS(ropeInverse(from, to, p, options), message, InputError);
  };
  const char *source = "f32, f16 or bf16 with four axes: batch, rows, heads, head dim";
  refused((std::string("rope source: got f32[4, 6], allowed: ") + source).c_str(), flat, flat, at);
  refused((std::string("rope source: got i32[1, 4, 2, 6], allowed: ") + source).c_str(), whole,
          whole, at);
  refused("rope target: got f16[1, 4, 2, 6], allowed: f32[1, 4, 2, 6]", x, other, at);
  refused("rope target: got f32[1, 3, 2, 6], allowed: f32[1, 4, 2, 6]", x, shorter, at);
  const int64_t expanded[] = {48, 0, 6, 1};
  refused("rope target: got f32[1, 4, 2, 6] with stride 0 on axis 1, allowed: a place for each "
          "element",
          x, Tensor(x.data(), DType::F32, x.shape(), expanded), at);
  refused("head dim: got 7, allowed: an even number, or rotary dims below it", odd, odd, at);
  const char *dims = "an even number up to the head dim, 6, or 0 for all of it";
  refused((std::string("rotary dims: got 8, allowed: ") + dims).c_str(), x, x, at,
          {.rotaryDims = 8});
  refused((std::string("rotary dims: got 3, allowed: ") + dims).c_str(), x, x, at,
          {.rotaryDims = 3});
  refused((std::string("rotary dims: got -2, allowed: ") + dims).c_str(), x, x, at,
          {.rotaryDims = -2});
  refused("rope base: got 0.5, allowed: a finite number, 1 or more", x, x, at, {.base = 0.5});
  refused("rope base: got nan, allowed: a finite number, 1 or more", x, x, at,
          {.base = std::numeric_limits<double>::quiet_NaN()});
  refused("rope base: got inf, allowed: a finite number, 1 or more", x, x, at,
          {.base = std::numeric_limits<double>::infinity()});
  constexpr int64_t end = int64_t(1) << 31, most = std::numeric_limits<int64_t>::max();
  refused(
      "positions: got first 0, block 0, jump 1 for 4 rows, allowed: a block of 1 or more, a jump "
      "not below it, and positions from -2^31 to 2^31 - 1",
      x, x, {0, 0, 1});
  for (const Positions &wrong : {Positions{0, 2, 1},
                                 {0, 1, -1},
                                 {0, -1, 1},
                                 {end - 3, 4, 4},
                                 {-end - 1, 4, 4},
                                 {0, 1, end},
                                 {0, 1, most},
                                 {most, 4, 4},
                                 {-most - 1, 4, 4},
                                 {0, most, 1}}) {
    if (wrong.block == most) { // one block of which the rows are a part
      CHECK_NOTHROW(rope(x, x, wrong));
      continue;
    }
    CHECK_THROWS_AS(rope(x, x, wrong), InputError);
  }
  CHECK_NOTHROW(rope(x, x, {end - 4, 4, 4}));
  CHECK_NOTHROW(rope(x, x, {-end, 4, -1}));
}
