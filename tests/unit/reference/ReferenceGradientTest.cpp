#include "tests/unit/reference/ReferenceProblem.h"

#include <doctest/doctest.h>

#include <cmath>

using namespace ringc;
using namespace ringc::reference;

namespace {

/// sum(out * dout), whose gradients are dq, dk and dv.
double loss(const Problem &problem) {
  Result result = attention(problem);
  double sum = 0;
  for (size_t index = 0; index < result.out.data.size(); ++index)
    sum += result.out.data[index] * problem.dout->data[index];
  return sum;
}

void checkAgainstDifferences(Problem problem, Array Problem::*input, const Array &gradient) {
  REQUIRE((problem.*input).data.size() == gradient.data.size());
  constexpr double step = 1e-5;
  for (size_t index = 0; index < gradient.data.size(); ++index) {
    double &value = (problem.*input).data[index];
    double kept = value;
    value = kept + step;
    double above = loss(problem);
    value = kept - step;
    double below = loss(problem);
    value = kept;
    CHECK(gradient.data[index] == doctest::Approx((above - below) / (2 * step)).epsilon(1e-6));
  }
}

void checkGradients(const Problem &problem) {
  Result result = attention(problem);
  checkAgainstDifferences(problem, &Problem::q, result.dq);
  checkAgainstDifferences(problem, &Problem::k, result.dk);
  checkAgainstDifferences(problem, &Problem::v, result.dv);
}

} // namespace

TEST_CASE("gradients equal finite differences") {
  Problem problem = randomProblem({.b = 2, .nq = 4, .nk = 5, .h = 4, .hkv = 2, .d = 3, .dv = 2});
  SUBCASE("plain") {}
  SUBCASE("tiled heads") { problem.headMap = HeadMap::Tiled; }
  SUBCASE("causal with a scale of its own") {
    problem.mask.causal = true;
    problem.scale = -0.3;
  }
  SUBCASE("causal, more queries than keys") {
    problem = randomProblem({.nq = 5, .nk = 3, .h = 2, .hkv = 1, .d = 2, .dv = 3});
    problem.mask.causal = true;
  }
  SUBCASE("everything at once") {
    problem.mask = {.causal = true,
                    .prefix = 1,
                    .windowLeft = 3,
                    .keyMask = {1, 1, 0, 1, 1, 0, 1, 1, 1, 1},
                    .cuSeqlens = {0, 2, 5}};
    problem.softcap = 1.0;
    problem.alibi = true;
    problem.bias = randomArray({1, 4, 4, 5}, 77);
  }
  SUBCASE("softcap with large logits") {
    problem.softcap = 1.0;
    problem.scale = 5.0;
  }
  SUBCASE("a score without a derivative") {
    problem.softcap = 3.0;
    problem.score = [](double s, int, int h, int64_t i, int64_t j) {
      return i - j > 1 ? std::sin(s) + h : s * s * 0.2;
    };
  }
  SUBCASE("a score that masks") {
    problem.score = [](double s, int, int, int64_t i, int64_t j) {
      return j > i ? -HUGE_VAL : 2 * s;
    };
  }
  checkGradients(problem);
}

TEST_CASE("a given derivative is the one that is used") {
  Problem problem = randomProblem({.nq = 3, .nk = 3, .h = 1, .hkv = 1, .d = 2, .dv = 2});
  problem.score = [](double s, int, int, int64_t, int64_t) { return std::sin(s); };
  Array byDifferences = attention(problem).dq;
  problem.scoreDerivative = [](double s, int, int, int64_t, int64_t) { return std::cos(s); };
  CHECK(relativeError(attention(problem).dq, byDifferences) < 1e-9);
  problem.scoreDerivative = [](double, int, int, int64_t, int64_t) { return 0.0; };
  for (double value : attention(problem).dq.data)
    CHECK(value == 0);
}
