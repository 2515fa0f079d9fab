#include "tests/module/ModuleTest.h"

#include "ringc/jit/HostCompiler.h"

#include <algorithm>
#include <random>

namespace ringc::test {

const AttentionContext &moduleContext() {
  static const AttentionContext shared = hostContext();
  return shared;
}

HostTensor randomNormal(DType dtype, std::vector<int64_t> shape, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  HostTensor exact(DType::F32, shape), made(dtype, shape);
  std::generate_n(exact.dataAs<float>(), exact.elementCount(), [&] { return normal(random); });
  convert(exact, made);
  return made;
}

} // namespace ringc::test
