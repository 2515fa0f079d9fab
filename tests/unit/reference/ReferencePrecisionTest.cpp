#include "tests/unit/reference/ReferenceProblem.h"

#include <doctest/doctest.h>

#include <limits>
#include <vector>

using namespace ringc;
using namespace ringc::reference;

TEST_CASE("the plain implementation errs by what its type can hold") {
  Problem problem =
      randomProblem({.b = 1, .nq = 96, .nk = 128, .h = 4, .hkv = 2, .d = 32, .dv = 48});
  problem.mask.causal = true;
  auto inRange = [](double error, double low, double high) { return error > low && error < high; };
  auto check = [&](DType dtype, double low, double high) {
    for (Array *input : {&problem.q, &problem.k, &problem.v, &*problem.dout})
      *input = arrayOf(tensorOf(*input, dtype));
    Result exact = attention(problem), plain = plainAttention(problem, dtype);
    CHECK(inRange(relativeError(plain.out, exact.out), low, high));
    CHECK(inRange(relativeError(plain.dq, exact.dq), low, high));
    CHECK(inRange(relativeError(plain.dk, exact.dk), low, high));
    CHECK(inRange(relativeError(plain.dv, exact.dv), low, high));
    CHECK(relativeError(plain.lse, exact.lse) < 1e-6);
  };
  check(DType::F32, 1e-8, 2e-6);
  check(DType::F16, 5e-5, 1e-3);
  check(DType::BF16, 5e-4, 8e-3);
}

TEST_CASE("arrays come from any strides and go back to any float type") {
  std::vector<float> memory(24);
  for (size_t index = 0; index < 24; ++index)
    memory[index] = float(index) + 0.001f;
  Tensor tensor(memory.data(), DType::F32, {2, 3, 4});
  Array array = arrayOf(tensor.permute({2, 0, 1}));
  CHECK(array.shape == std::array<int64_t, 4>{4, 2, 3, 1});
  CHECK(array.at(3, 1, 2, 0) == double(memory[23]));
  CHECK(array.at(1, 0, 2, 0) == double(memory[9]));

  HostTensor back = tensorOf(array, DType::BF16, 3);
  CHECK(describe(back) == "bf16[4, 2, 3]");
  CHECK(arrayOf(back).at(3, 1, 2, 0) == 23.0);
}

TEST_CASE("the relative error is of Frobenius norms") {
  Array expected({1, 1, 1, 2}), actual({1, 1, 1, 2});
  expected.data = {3, 4};
  actual.data = {3, 4.5};
  CHECK(relativeError(actual, expected) == doctest::Approx(0.1));
  CHECK(relativeError(expected, expected) == 0);
  Array zero({1, 1, 1, 2});
  CHECK(relativeError(actual, zero) == doctest::Approx(std::hypot(3, 4.5)));

  double infinity = std::numeric_limits<double>::infinity(), nan = infinity - infinity;
  CHECK(relativeError(Array({1, 1, 2, 1}), zero) == infinity);
  actual.data = expected.data = {-infinity, 2};
  CHECK(relativeError(actual, expected) == 0);
  actual.data[0] = nan;
  CHECK(relativeError(actual, expected) == infinity);
  expected.data[0] = nan;
  CHECK(relativeError(actual, expected) == 0);
  actual.data[0] = 1;
  CHECK(relativeError(actual, expected) == infinity);
}
