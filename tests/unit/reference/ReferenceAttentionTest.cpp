#include "tests/unit/reference/ReferenceProblem.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

using namespace ringc;
using namespace ringc::reference;
using doctest::Approx;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double notANumber = std::numeric_limits<double>::quiet_NaN();

/// Which keys each query of head 0 sees, read off the result: q = 0 and one-hot v, so that a row of
/// out is 1 / count where a key is seen. One line a query, '#' seen and '.' not.
std::string picture(int64_t nq, int64_t nk, const Mask &mask) {
  Problem problem;
  problem.q = Array({1, nq, 1, 1});
  problem.k = Array({1, nk, 1, 1});
  problem.v = Array({1, nk, 1, nk});
  for (int64_t j = 0; j < nk; ++j)
    problem.v.at(0, j, 0, j) = 1;
  problem.mask = mask;
  Result result = attention(problem);
  std::string text;
  for (int64_t row = 0; row < nq; ++row) {
    int64_t seen = 0;
    for (int64_t j = 0; j < nk; ++j) {
      bool isSeen = result.out.at(0, row, 0, j) != 0;
      seen += isSeen;
      text += isSeen ? '#' : '.';
    }
    for (int64_t j = 0; j < nk && seen; ++j)
      if (double out = result.out.at(0, row, 0, j); out != 0)
        CHECK(out == Approx(1.0 / double(seen)));
    double expectedLse = seen ? std::log(double(seen)) : -infinity;
    CHECK((result.lse.at(0, 0, row, 0) == expectedLse ||
           result.lse.at(0, 0, row, 0) == Approx(expectedLse)));
    text += '\n';
  }
  return text;
}

} // namespace

TEST_CASE("two keys by hand") {
  Problem problem;
  problem.q = Array({1, 1, 1, 2});
  problem.q.data = {1, 2};
  problem.k = Array({1, 2, 1, 2});
  problem.k.data = {3, 4, -1, 1}; // dots 11 and 1
  problem.v = Array({1, 2, 1, 3});
  problem.v.data = {1, 2, 3, 5, 7, 11};
  problem.scale = 0.1;
  Result result = attention(problem);

  double e0 = std::exp(1.1), e1 = std::exp(0.1);
  CHECK(result.lse.at(0, 0, 0, 0) == Approx(std::log(e0 + e1)));
  CHECK(result.out.at(0, 0, 0, 0) == Approx((e0 * 1 + e1 * 5) / (e0 + e1)));
  CHECK(result.out.at(0, 0, 0, 2) == Approx((e0 * 3 + e1 * 11) / (e0 + e1)));
  CHECK(result.dq.data.empty());

  SUBCASE("the default scale is d^-1/2") {
    problem.scale.reset();
    double s0 = 11 / std::sqrt(2.0), s1 = 1 / std::sqrt(2.0);
    CHECK(attention(problem).lse.at(0, 0, 0, 0) == Approx(std::log(std::exp(s0) + std::exp(s1))));
  }
  SUBCASE("softcap, then the user's score, then ALiBi, then bias") {
    problem.softcap = 2.0;
    problem.score = [](double s, int, int, int64_t i, int64_t j) {
      CHECK(i == 1); // one row, two keys: the row is the last token
      return 3 * s + double(j);
    };
    problem.alibi = true;
    problem.bias = Array({1, 1, 1, 2});
    problem.bias->data = {0.25, -0.5};
    double slope = std::exp2(-8.0); // one head
    double s0 = 3 * 2 * std::tanh(1.1 / 2) + 0 - slope * 1 + 0.25;
    double s1 = 3 * 2 * std::tanh(0.1 / 2) + 1 - slope * 0 - 0.5;
    CHECK(attention(problem).lse.at(0, 0, 0, 0) == Approx(std::log(std::exp(s0) + std::exp(s1))));
  }
}

TEST_CASE("causal is bottom-right aligned") {
  CHECK(picture(3, 3, {.causal = true}) == "#..\n##.\n###\n");
  CHECK(picture(2, 4, {.causal = true}) == "###.\n####\n");
  CHECK(picture(4, 2, {.causal = true}) == "..\n..\n#.\n##\n");
}

TEST_CASE("a prefix is exempt from causal, and only from that") {
  CHECK(picture(4, 4, {.causal = true, .prefix = 2}) == "##..\n##..\n###.\n####\n");
  CHECK(picture(4, 2, {.causal = true, .prefix = 1}) == "#.\n#.\n#.\n##\n");
  CHECK(picture(2, 2, {.prefix = 1}) == "##\n##\n");
  CHECK(picture(4, 4, {.causal = true, .prefix = 2, .windowLeft = 1}) ==
        "##..\n##..\n.##.\n..##\n");
}

TEST_CASE("windows are exact and may be open to either side") {
  CHECK(picture(4, 4, {.windowLeft = 1, .windowRight = 0}) == "#...\n##..\n.##.\n..##\n");
  CHECK(picture(4, 4, {.windowRight = 1}) == "##..\n###.\n####\n####\n");
  CHECK(picture(4, 4, {.windowLeft = 0}) == "####\n.###\n..##\n...#\n");
  CHECK(picture(2, 4, {.windowLeft = 0, .windowRight = 0}) == "..#.\n...#\n");
}

TEST_CASE("documents see only themselves") {
  CHECK(picture(4, 4, {.cuSeqlens = {0, 1, 4}}) == "#...\n.###\n.###\n.###\n");
  CHECK(picture(4, 4, {.causal = true, .cuSeqlens = {0, 2, 2, 4}}) == "#...\n##..\n..#.\n..##\n");
  CHECK(picture(2, 4, {.cuSeqlens = {0, 3, 4}}) == "###.\n...#\n");
}

TEST_CASE("key masks and the user's predicate compose with causal") {
  CHECK(picture(3, 3, {.causal = true, .keyMask = {0, 1, 1}}) == "...\n.#.\n.##\n");
  Mask dilated{.causal = true,
               .predicate = [](int, int, int64_t i, int64_t j) { return (i - j) % 2 == 0; }};
  CHECK(picture(4, 4, dilated) == "#...\n.#..\n#.#.\n.#.#\n");
}

TEST_CASE("the key mask is per batch, the predicate per batch and head") {
  Problem problem = randomProblem({.b = 2, .nq = 1, .nk = 3, .h = 2, .hkv = 1});
  problem.q = Array(problem.q.shape);
  problem.mask.keyMask = {1, 1, 1, 0, 0, 1};
  problem.mask.predicate = [](int b, int h, int64_t, int64_t j) {
    return b == 1 || h == 0 || j == 1;
  };
  Result result = attention(problem);
  CHECK(result.lse.at(0, 0, 0, 0) == Approx(std::log(3)));
  CHECK(result.lse.at(0, 1, 0, 0) == Approx(0));
  CHECK(result.out.at(0, 0, 1, 0) == Approx(problem.v.at(0, 1, 0, 0)));
  CHECK(result.out.at(1, 0, 0, 0) == Approx(problem.v.at(1, 2, 0, 0)));
  CHECK(result.out.at(1, 0, 1, 0) == Approx(problem.v.at(1, 2, 0, 0)));
}

TEST_CASE("both head maps, with v = its own kv head") {
  Problem problem = randomProblem({.nq = 2, .nk = 3, .h = 6, .hkv = 3});
  for (int64_t j = 0; j < 3; ++j)
    for (int64_t hkv = 0; hkv < 3; ++hkv)
      problem.v.at(0, j, hkv, 0) = double(hkv);
  problem.headMap = HeadMap::Blocked;
  Result blocked = attention(problem);
  problem.headMap = HeadMap::Tiled;
  Result tiled = attention(problem);
  for (int h = 0; h < 6; ++h) {
    CHECK(blocked.out.at(0, 1, h, 0) == Approx(h / 2));
    CHECK(tiled.out.at(0, 1, h, 0) == Approx(h % 3));
  }
}

TEST_CASE("ALiBi slopes and a broadcast bias") {
  Problem problem = randomProblem({.b = 2, .nq = 2, .nk = 3, .h = 4, .hkv = 2});
  problem.q = Array(problem.q.shape);
  SUBCASE("slope_h = 2^(-8 (h+1) / h_q), distances are absolute") {
    problem.alibi = true;
    Result result = attention(problem);
    for (int h = 0; h < 4; ++h) {
      double m = std::pow(2.0, -2.0 * (h + 1));
      CHECK(result.lse.at(1, h, 0, 0) == // row 0 is token 1
            Approx(std::log(std::exp(-m) + 1 + std::exp(-m))));
      CHECK(result.lse.at(1, h, 1, 0) == Approx(std::log(std::exp(-2 * m) + std::exp(-m) + 1)));
    }
  }
  SUBCASE("bias [1, h, n_q, n_k]") {
    problem.bias = randomArray({1, 4, 2, 3}, 9);
    const Array &bias = *problem.bias;
    Result result = attention(problem);
    CHECK(result.lse.at(1, 3, 1, 0) ==
          Approx(std::log(std::exp(bias.at(0, 3, 1, 0)) + std::exp(bias.at(0, 3, 1, 1)) +
                          std::exp(bias.at(0, 3, 1, 2)))));
  }
  SUBCASE("bias [b, 1, n_q, n_k] of -inf is a mask") {
    problem.bias = Array({2, 1, 2, 3});
    for (int64_t j = 0; j < 3; ++j)
      problem.bias->at(1, 0, 0, j) = -infinity;
    problem.bias->at(1, 0, 1, 2) = -infinity;
    Result result = attention(problem);
    CHECK(result.lse.at(0, 2, 0, 0) == Approx(std::log(3)));
    CHECK(result.lse.at(1, 2, 0, 0) == -infinity);
    CHECK(result.out.at(1, 0, 2, 0) == 0);
    CHECK(result.lse.at(1, 2, 1, 0) == Approx(std::log(2)));
  }
}

TEST_CASE("rows that see nothing give zero, -inf and zero gradients") {
  Problem problem = randomProblem({.nq = 4, .nk = 2, .h = 2, .hkv = 1, .d = 3, .dv = 2});
  problem.mask.causal = true; // rows 0 and 1 come before every key
  for (int64_t c = 0; c < 2; ++c)
    problem.dout->at(0, 0, 0, c) = notANumber;
  Result result = attention(problem);
  for (int64_t row : {0, 1}) {
    CHECK(result.lse.at(0, 1, row, 0) == -infinity);
    for (int64_t c = 0; c < 2; ++c)
      CHECK(result.out.at(0, row, 0, c) == 0);
    for (int64_t c = 0; c < 3; ++c)
      CHECK(result.dq.at(0, row, 0, c) == 0);
  }
  for (double value : result.dk.data)
    CHECK(std::isfinite(value));
  for (double value : result.dv.data)
    CHECK(std::isfinite(value));
}

TEST_CASE("invisible keys never reach the result, visible NaN shows") {
  Problem clean = randomProblem({.nq = 3, .nk = 5, .h = 2, .hkv = 2, .d = 4, .dv = 3});
  clean.mask.keyMask = {0, 1, 0, 1, 0};
  Result expected = attention(clean);
  for (double poison : {notANumber, infinity}) {
    Problem problem = clean;
    for (int64_t j : {0, 2, 4})
      for (int64_t hkv : {0, 1}) {
        for (int64_t c = 0; c < 4; ++c)
          problem.k.at(0, j, hkv, c) = poison;
        for (int64_t c = 0; c < 3; ++c)
          problem.v.at(0, j, hkv, c) = poison;
      }
    Result result = attention(problem);
    CHECK(result.out.data == expected.out.data);
    CHECK(result.lse.data == expected.lse.data);
    CHECK(result.dq.data == expected.dq.data);
    CHECK(result.dk.data == expected.dk.data);
    CHECK(result.dv.data == expected.dv.data);
    CHECK(result.dk.at(0, 0, 0, 0) == 0);
  }
  Problem problem = clean;
  problem.k.at(0, 1, 0, 0) = notANumber;
  Result result = attention(problem);
  CHECK(std::isnan(result.out.at(0, 2, 0, 1)));
  CHECK(std::isnan(result.lse.at(0, 0, 2, 0)));
  CHECK(std::isnan(result.dq.at(0, 2, 0, 1)));
  CHECK(result.out.at(0, 2, 1, 1) == expected.out.at(0, 2, 1, 1));
}

TEST_CASE("sizes of zero") {
  for (auto sizes : {Sizes{.b = 0}, Sizes{.nq = 0}, Sizes{.nk = 0}, Sizes{.nq = 0, .nk = 0}}) {
    Result result = attention(randomProblem(sizes));
    for (double value : result.out.data)
      CHECK(value == 0);
    for (double value : result.lse.data)
      CHECK(value == -infinity);
    CHECK(result.dk.data.size() == size_t(sizes.b * sizes.nk));
  }
}

TEST_CASE("shapes that disagree are refused") {
  Problem problem = randomProblem({.nq = 2, .nk = 3, .h = 4, .hkv = 2, .d = 3, .dv = 2});
  SUBCASE("heads") { problem.q = randomArray({1, 2, 3, 3}, 1); }
  SUBCASE("head dim") { problem.q = randomArray({1, 2, 4, 4}, 1); }
  SUBCASE("v's length") { problem.v = randomArray({1, 2, 2, 2}, 1); }
  SUBCASE("dout") { problem.dout = randomArray({1, 2, 4, 3}, 1); }
  SUBCASE("bias") { problem.bias = randomArray({1, 2, 2, 3}, 1); }
  SUBCASE("key mask") { problem.mask.keyMask = {1, 1}; }
  SUBCASE("documents") { problem.mask.cuSeqlens = {0, 2}; }
  CHECK_THROWS_AS(attention(problem), std::invalid_argument);
}
