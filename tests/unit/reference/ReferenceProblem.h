#pragma once

#include "tests/support/ReferenceAttention.h"

#include <random>

namespace ringc::reference {

inline Array randomArray(std::array<int64_t, 4> shape, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<double> normal;
  Array result(shape);
  for (double &value : result.data)
    value = normal(generator);
  return result;
}

struct Sizes {
  int64_t b = 1, nq = 1, nk = 1, h = 1, hkv = 1, d = 1, dv = 1;
};

inline Problem randomProblem(const Sizes &sizes, unsigned seed = 1) {
  auto [b, nq, nk, h, hkv, d, dv] = sizes;
  Problem problem;
  problem.q = randomArray({b, nq, h, d}, seed);
  problem.k = randomArray({b, nk, hkv, d}, seed + 1);
  problem.v = randomArray({b, nk, hkv, dv}, seed + 2);
  problem.dout = randomArray({b, nq, h, dv}, seed + 3);
  return problem;
}

} // namespace ringc::reference
