#include "tests/ring/semantics/Errors.h"

#include "ringc/attention/HostAttentionRing.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

using namespace ringc;
using namespace ringc::test;

namespace {

constexpr int64_t maxLength = 64;

/// With q = k = 0 and one-hot v, column j of row i is 1 / (keys that i sees) where i sees j, else
/// 0.
Data oneHot(int64_t queries, int64_t keys) {
  Data data;
  data.q = HostTensor(DType::F32, {1, queries, 1, 8});
  data.k = HostTensor(DType::F32, {1, keys, 1, 8});
  data.v = HostTensor(DType::F32, {1, keys, 1, maxLength});
  for (int64_t j = 0; j < keys; ++j)
    data.v.dataAs<float>()[j * maxLength + j] = 1;
  return data;
}

/// Every pair, said by `sees`. Returns the steps that all ranks computed.
template <typename Sees> int64_t checkPairs(const Case &given, Sees &&sees) {
  INFO(given.name());
  auto [batch, queries, keys] = given.shape;
  REQUIRE(keys <= maxLength);
  Data data = oneHot(queries, keys);
  HostAttentionRing ring(given.options, given.world, context());
  HostTensor out = ring.forward(inputsOf(given, data)).out;
  int64_t wrong = 0;
  for (int64_t row = 0; row < queries; ++row) {
    int64_t i = row + keys - queries, count = 0;
    for (int64_t j = 0; j < keys; ++j)
      count += sees(i, j);
    for (int64_t j = 0; j < maxLength; ++j) {
      float wanted = j < keys && sees(i, j) ? 1 / float(count) : 0;
      float got = out.dataAs<float>()[row * maxLength + j];
      wrong += wanted == 0 ? got != 0 : !(std::abs(got - wanted) < 1e-6f);
    }
  }
  CHECK(wrong == 0);
  int64_t computed = 0;
  for (const ExecutionReport &report : ring.reports())
    computed += report.computedSteps;
  return computed;
}

Case visibilityCase(SequenceLayout layout, int world, int64_t queries, int64_t keys) {
  return {.options = {.headDim = 8, .valueHeadDim = maxLength, .layout = layout},
          .world = world,
          .shape = {1, queries, keys}};
}

const SequenceLayout layouts[] = {SequenceLayout::contiguous(), SequenceLayout::striped(),
                                  SequenceLayout::striped(3), SequenceLayout::zigzag()};

} // namespace

TEST_CASE("stripe diagonal off by one: one-hot v shows the lower triangle, S <= 4N, N <= 8") {
  for (const SequenceLayout &layout : layouts)
    for (int world = 1; world <= 8; ++world)
      for (int64_t n = 1; n <= 4 * world; ++n) {
        Case given = visibilityCase(layout, world, n, n);
        given.options.causal = true;
        checkPairs(given, [](int64_t i, int64_t j) { return j <= i; });
      }
}

TEST_CASE("window applied per block: L in {1, S-1, S, S+1, 2S+3} is exact, dead hops are skipped") {
  constexpr int64_t shard = 12;
  constexpr int world = 4;
  for (const SequenceLayout &layout : layouts)
    for (int64_t left : {int64_t(1), shard - 1, shard, shard + 1, 2 * shard + 3})
      for (int64_t right : {int64_t(-1), int64_t(0), int64_t(2), left}) {
        Case given = visibilityCase(layout, world, world * shard, world * shard);
        given.options.window = {left, right};
        auto sees = [&](int64_t i, int64_t j) {
          return j >= i - left && (right < 0 || j <= i + right);
        };
        int64_t computed = checkPairs(given, sees), needed = 0;
        for (int rank = 0; rank < world; ++rank)
          for (int owner = 0; owner < world; ++owner) {
            bool any = false;
            for (int64_t row = 0; row < shard; ++row)
              for (int64_t key = 0; key < shard; ++key)
                any |= sees(positions(layout, rank, world, world * shard)(row),
                            positions(layout, owner, world, world * shard)(key));
            needed += any;
          }
        CHECK(computed == needed);
      }
}

TEST_CASE("look-back with causal, and n_q != n_k, pair by pair") {
  for (const SequenceLayout &layout : layouts)
    for (int world : {1, 2, 3, 5, 8})
      for (auto [queries, keys] : {std::pair<int64_t, int64_t>{7, 31}, {31, 7}, {1, 64}, {40, 41}})
        for (int64_t left : {-1, 0, 5, 20}) {
          Case given = visibilityCase(layout, world, queries, keys);
          given.options.causal = true;
          given.options.window.left = left;
          checkPairs(given,
                     [&](int64_t i, int64_t j) { return j <= i && (left < 0 || j >= i - left); });
        }
}

TEST_CASE("prefix: keys below it are exempt from causal alone") {
  for (const SequenceLayout &layout : layouts)
    for (int world : {1, 3, 4})
      for (int64_t prefix : {1, 10, 11, 12, 33, 64})
        for (int64_t left : {-1, 6}) {
          Case given = visibilityCase(layout, world, 33, 33);
          given.options.causal = true;
          given.options.prefix = prefix;
          given.options.window.left = left;
          checkPairs(given, [&](int64_t i, int64_t j) {
            return (j <= i || j < prefix) && (left < 0 || j >= i - left);
          });
        }
}

TEST_CASE("prefix without causal changes nothing") {
  Case given = visibilityCase(SequenceLayout::striped(), 3, 20, 20);
  given.options.prefix = 7;
  checkPairs(given, [](int64_t, int64_t) { return true; });
}

TEST_CASE("bucket stripes with tiles that do not divide the bucket") {
  for (int64_t bucket = 1; bucket <= 8; ++bucket)
    for (auto [q, kv] : {std::pair<int64_t, int64_t>{16, 16}, {3, 5}, {48, 24}, {64, 32}}) {
      Case given{.options = {.headDim = 16,
                             .causal = true,
                             .layout = SequenceLayout::striped(bucket),
                             .tile = {{"q", q}, {"kv", kv}}},
                 .world = 3,
                 .shape = {1, 101, 101}};
      checkCase(given);
    }
}
