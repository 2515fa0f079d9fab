#include "tools/ringc/RandomProblem.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace ringc::cli {

double Bars::unit() const {
  switch (dtype) {
  case DType::F16:
    return 0x1p-11;
  case DType::BF16:
    return 0x1p-8;
  default:
    return 0x1p-24;
  }
}

double Bars::luck(double rows) const {
  double unitsOfRow = dtype == DType::F32 ? 16 : 4;
  return unit() * unitsOfRow / std::sqrt(std::max(rows, 1.0));
}

double Bars::against(double plainError, double rows) const {
  return std::max(exact, 2 * plainError + unit() / 2 + luck(rows));
}

HostTensor randomTensor(DType dtype, std::initializer_list<int64_t> shape,
                        std::mt19937_64 &random) {
  HostTensor exact(DType::F32, shape), rounded(dtype, shape);
  std::normal_distribution<float> normal;
  std::generate_n(exact.dataAs<float>(), exact.elementCount(), [&] { return normal(random); });
  convert(exact, rounded);
  return rounded;
}

HostTensor randomMask(std::initializer_list<int64_t> shape, std::mt19937_64 &random) {
  HostTensor made(DType::Bool, shape);
  std::generate_n(made.dataAs<uint8_t>(), made.elementCount(),
                  [&] { return uint8_t(random() >> 63); });
  return made;
}

HostTensor repeatedTensor(DType dtype, std::initializer_list<int64_t> shape,
                          std::mt19937_64 &random) {
  HostTensor whole(dtype, shape);
  HostTensor once = randomTensor(dtype, {std::min(repeatedNumbers, whole.elementCount())}, random);
  int64_t bytes = whole.view().byteCount(), first = once.view().byteCount();
  for (int64_t at = 0; at < bytes; at += first)
    std::memcpy(whole.dataAs<std::byte>() + at, once.data(), size_t(std::min(first, bytes - at)));
  return whole;
}

double independentRows(const AttentionOptions &options, int64_t batch, int64_t queryRows,
                       int64_t keyRows) {
  return double(batch) *
         double(std::min(queryRows * options.heads,
                         keyRows * (options.kvHeads ? options.kvHeads : options.heads)));
}

Results runBoth(WorldRing &ring) {
  ring.forward();
  ring.backward();
  WorldRing::Results collected = ring.collect();
  return Results(collected.forward, collected.gradients);
}

} // namespace ringc::cli
