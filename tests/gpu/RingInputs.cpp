#include "tests/gpu/RingInputs.h"

#include "ringc/attention/shared/Options.h"

#include <algorithm>
#include <cmath>
#include <random>

namespace ringc::test {

HostTensor randomNumbers(DType dtype, std::initializer_list<int64_t> shape, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  HostTensor exact(DType::F32, shape), rounded(dtype, shape);
  std::generate_n(exact.dataAs<float>(), exact.elementCount(), [&] { return normal(random); });
  convert(exact, rounded);
  return rounded;
}

RingInputs::RingInputs(const AttentionOptions &given, int64_t batch, int64_t queries,
                       int64_t keys) {
  AttentionOptions options = completed(given);
  DType dtype = options.dtype;
  q = randomNumbers(dtype, {batch, queries, options.heads, options.headDim}, 1);
  k = randomNumbers(dtype, {batch, keys, options.kvHeads, options.headDim}, 2);
  v = randomNumbers(dtype, {batch, keys, options.kvHeads, options.valueHeadDim}, 3);
  dout = randomNumbers(dtype, {batch, queries, options.heads, options.valueHeadDim}, 4);
}

double errorOf(const Tensor &result, const Tensor &reference) {
  HostTensor a(DType::F32, result.shape()), b(DType::F32, reference.shape());
  convert(result, a);
  convert(reference, b);
  double difference = 0, size = 0;
  for (int64_t i = 0; i < a.elementCount(); ++i) {
    double x = double(a.dataAs<float>()[i]), y = double(b.dataAs<float>()[i]);
    if (x == y) // -inf too
      continue;
    difference += (x - y) * (x - y);
  }
  for (int64_t i = 0; i < b.elementCount(); ++i)
    if (double y = double(b.dataAs<float>()[i]); std::isfinite(y))
      size += y * y;
  return difference == 0 ? 0 : std::sqrt(difference / std::max(size, 1e-30));
}

} // namespace ringc::test
