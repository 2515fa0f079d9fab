#include "ringc/ring/Plan.h"
#include "tests/ring/RingRun.h"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

using namespace ringc;
using namespace ringc::test;

namespace {

const SequenceLayout layouts[] = {SequenceLayout::contiguous(), SequenceLayout::striped(),
                                  SequenceLayout::striped(3), SequenceLayout::zigzag()};

/// f32 results of double arithmetic; dK and dV are summed in f32.
constexpr double tolerance = 2e-6;

/// How keys come: hop by hop, or from all at once, in copies or lent.
struct Way {
  Schedule schedule;
  bool lends;
};
const Way ways[] = {{Schedule::Ring, true},
                    {Schedule::ring(2), true},
                    {Schedule::ring(3), false},
                    {Schedule::AllGather, false},
                    {Schedule::AllGather, true}};

void checkOne(const RingCase &ring, const RunOptions &options) {
  CAPTURE(ring.name());
  CAPTURE(options.transport.lends);
  Inputs inputs = randomInputs(ring, 3);
  reference::Result right = expected(ring, inputs);
  std::vector<RunReport> reports;
  Outputs outputs = runRing(ring, std::move(inputs), options, &reports);
  CHECK(worstError(outputs, right) < tolerance);
  for (const RunReport &report : reports) {
    bool gaps =
        options.keys == RunOptions::Keys::WithGaps || (ring.schedule.chunks > 1 && ring.batch > 1);
    auto keys = gaps ? Plan::OwnKeys::Strided : Plan::OwnKeys::Contiguous;
    auto foreign = !report.forwardPlan.isRing() && options.transport.lends
                       ? Plan::FromOthers::Borrowed
                       : Plan::FromOthers::Received;
    CHECK(report.forward.sentBytes == report.forwardPlan.sentBytes());
    CHECK(report.forward.receivedBytes == report.forwardPlan.receivedBytes());
    CHECK(report.forward.hopBufferBytes == report.forwardPlan.hopBufferBytes(keys, foreign));
    CHECK(report.backward.sentBytes == report.backwardPlan.sentBytes());
    CHECK(report.backward.receivedBytes == report.backwardPlan.receivedBytes());
    CHECK(report.backward.hopBufferBytes == report.backwardPlan.hopBufferBytes(keys, foreign));
  }
}

void checkExact(RingCase ring, RunOptions options = {}) {
  for (Way way : ways) {
    ring.schedule = way.schedule;
    options.transport.lends = way.lends;
    checkOne(ring, options);
  }
}

} // namespace

TEST_CASE("every layout, ring size, mask and odd length equals the attention of the sequence") {
  const RowMask masks[] = {{}, {true, -1, -1}, {false, 5, 2}, {true, 6, 0}, {false, 0, 0}};
  for (const SequenceLayout &layout : layouts)
    for (int size = 1; size <= 8; ++size)
      for (const RowMask &mask : masks)
        for (auto [queries, keys] :
             {std::pair<int64_t, int64_t>{17, 17}, {1, 1}, {2, 2}, {9, 23}, {23, 9}})
          checkExact({.world = size,
                      .ringSize = size,
                      .layout = layout,
                      .queries = queries,
                      .keys = keys,
                      .mask = mask});
}

TEST_CASE("grouped heads, other value dims, strided keys, several batches") {
  for (const SequenceLayout &layout : layouts)
    for (auto keys : {RunOptions::Keys::RowMajor, RunOptions::Keys::WithGaps})
      checkExact({.world = 4,
                  .ringSize = 4,
                  .layout = layout,
                  .batch = 2,
                  .queries = 21,
                  .keys = 21,
                  .heads = 4,
                  .kvHeads = 2,
                  .dim = 3,
                  .valueDim = 5,
                  .mask = {true, -1, -1}},
                 {.transport = {}, .wrap = {}, .keys = keys});
}

TEST_CASE("data indexed by key travels with K: key masks and documents") {
  std::vector<int64_t> left, firstShard;
  for (int64_t key = 0; key < 7; ++key)
    left.push_back(key);
  for (int64_t key = 0; key < 12; ++key)
    firstShard.push_back(key);
  for (const SequenceLayout &layout : layouts)
    for (int size : {1, 2, 3, 5})
      for (const auto &hidden : {std::vector<int64_t>{}, left, firstShard, {3, 11, 22}})
        for (const auto &starts : {std::vector<int64_t>{}, {1, 3, 8}, {11, 13}})
          checkExact({.world = size,
                      .ringSize = size,
                      .layout = layout,
                      .batch = 2,
                      .queries = 23,
                      .keys = 23,
                      .mask = {true, -1, -1},
                      .hiddenKeys = hidden,
                      .documentStarts = starts});
}

TEST_CASE("a rank that computes nothing writes zeros, -inf and zero gradients") {
  // Five keys for twenty queries: positions -15 .. 4, the first ranks see nothing.
  RingCase ring{.world = 4, .ringSize = 4, .queries = 20, .keys = 5, .mask = {true, -1, -1}};
  std::vector<RunReport> reports;
  Outputs outputs = runRing(ring, randomInputs(ring, 1), {}, &reports);
  CHECK_FALSE(reports[0].forwardPlan.firstComputed().has_value());
  CHECK(reports[0].forward.computedSteps == 0);
  for (int64_t row = 0; row < 15; ++row) {
    CHECK(outputs.lse.dataAs<float>()[row] == -INFINITY);
    for (int64_t c = 0; c < 4; ++c) {
      CHECK(outputs.out.dataAs<float>()[row * 4 + c] == 0);
      CHECK(outputs.dq.dataAs<float>()[row * 4 + c] == 0);
    }
  }
}

TEST_CASE("empty sequences and batches") {
  for (int size : {1, 3}) {
    checkExact({.world = size, .ringSize = size, .queries = 0, .keys = 0});
    checkExact({.world = size, .ringSize = size, .batch = 0});
    checkExact({.world = size, .ringSize = size, .queries = 4, .keys = 0});
    checkExact({.world = size, .ringSize = size, .queries = 0, .keys = 4});
  }
}

TEST_CASE("dead hops are not computed, nor their keys sent") {
  RingCase ring{.world = 6,
                .ringSize = 6,
                .queries = 48,
                .keys = 48,
                .mask = {true, 8, 0}}; // shards of eight: one's own and the left neighbour's
  for (Way way : ways) {
    ring.schedule = way.schedule;
    std::vector<RunReport> reports;
    runRing(ring, randomInputs(ring, 1), {.transport = {.lends = way.lends}}, &reports);
    int64_t keyBytes = 8 * (4 + 4) * 4 + 8 * (1 + 4);
    for (int rank = 0; rank < 6; ++rank) {
      CHECK(reports[size_t(rank)].forward.computedSteps ==
            way.schedule.chunks * (rank == 0 ? 1 : 2));
      CHECK(reports[size_t(rank)].forward.sentBytes == (rank == 5 ? 0 : keyBytes));
    }
  }
}

TEST_CASE("an all-gather gives the same bits, whether keys are copied or lent") {
  for (const SequenceLayout &layout : layouts) {
    RingCase ring{.world = 5,
                  .ringSize = 5,
                  .layout = layout,
                  .schedule = Schedule::AllGather,
                  .queries = 31,
                  .keys = 31,
                  .mask = {true, -1, -1}};
    CHECK(sameBits(runRing(ring, randomInputs(ring, 8), {.transport = {.lends = false}}),
                   runRing(ring, randomInputs(ring, 8), {.transport = {.lends = true}})));
  }
}
