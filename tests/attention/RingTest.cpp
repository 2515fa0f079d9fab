// Attention end to end: layouts, rings and worlds against the reference, on every rank.

#include "ringc/attention/HostAttentionRank.h"
#include "tests/attention/AttentionCase.h"

#include "ringc/comm/InProcess.h"

#include <doctest/doctest.h>

#include <cstring>
#include <limits>

using namespace ringc;
using namespace ringc::test;

namespace {

constexpr double f32Bar = 2e-5;

const SequenceLayout layouts[] = {SequenceLayout::contiguous(), SequenceLayout::striped(),
                                  SequenceLayout::striped(5), SequenceLayout::zigzag()};

void checkWithin(AttentionCase attention, double bar = f32Bar) {
  for (Schedule schedule : commonSchedules) {
    attention.options.schedule = schedule;
    CAPTURE(attention.name());
    CAPTURE(nameOf(schedule));
    CHECK(worstError(attention) <= bar);
  }
}

bool sameBits(const HostTensor &a, const HostTensor &b) {
  return a.byteCount() == b.byteCount() &&
         std::memcmp(a.data(), b.data(), size_t(a.byteCount())) == 0;
}

} // namespace

TEST_CASE("every layout and world, causal or not, with both head maps") {
  for (const SequenceLayout &layout : layouts)
    for (int world : {1, 2, 3, 4, 8})
      for (bool causal : {false, true}) {
        AttentionCase attention{
            .options = {.heads = 4,
                        .kvHeads = 2,
                        .headDim = 32,
                        .headMap = world % 2 ? HeadMap::Tiled : HeadMap::Blocked,
                        .causal = causal,
                        .layout = layout},
            .world = world,
            .queries = 61,
            .keys = 61};
        checkWithin(attention);
      }
}

TEST_CASE("sequences of one and two tokens, and of none") {
  for (const SequenceLayout &layout : layouts)
    for (int world : {1, 2, 5}) {
      for (int64_t n : {0, 1, 2})
        checkWithin({.options = {.headDim = 32, .causal = true, .layout = layout},
                     .world = world,
                     .queries = n,
                     .keys = n});
      checkWithin(
          {.options = {.headDim = 32, .layout = layout}, .world = world, .queries = 3, .keys = 0});
      checkWithin(
          {.options = {.headDim = 32, .layout = layout}, .world = world, .queries = 0, .keys = 3});
      checkWithin({.options = {.headDim = 32, .layout = layout}, .world = world, .batch = 0});
    }
}

TEST_CASE("other numbers of queries than keys are aligned at the end") {
  for (const SequenceLayout &layout : layouts)
    for (int world : {1, 3})
      for (auto [queries, keys] : {std::pair{19, 70}, std::pair{70, 19}})
        checkWithin(
            {.options = {.headDim = 32, .causal = true, .window = {.left = 25}, .layout = layout},
             .world = world,
             .queries = queries,
             .keys = keys});
}

TEST_CASE("sub-rings take their part of the batch, also where it is smaller than they are many") {
  for (auto [world, ringSize] :
       {std::pair{8, 4}, std::pair{8, 2}, std::pair{6, 3}, std::pair{4, 1}})
    for (int64_t batch : {1, 3, 8})
      checkWithin({.options = {.heads = 2,
                               .headDim = 32,
                               .causal = true,
                               .layout = SequenceLayout::zigzag(),
                               .ringSize = ringSize},
                   .world = world,
                   .batch = batch,
                   .queries = 37,
                   .keys = 37});
}

TEST_CASE("head dims that no vector divides, and values of another") {
  for (auto [dim, valueDim] : {std::pair{1, 1}, std::pair{40, 40}, std::pair{80, 24},
                               std::pair{192, 128}, std::pair{256, 256}})
    checkWithin({.options = {.heads = 2,
                             .headDim = dim,
                             .valueHeadDim = valueDim,
                             .causal = true,
                             .layout = SequenceLayout::striped()},
                 .world = 2,
                 .queries = 70,
                 .keys = 70});
}

TEST_CASE("16-bit types stay within twice their own rounding") {
  for (DType dtype : {DType::F16, DType::BF16})
    for (int world : {1, 4})
      checkWithin({.options = {.heads = 4,
                               .kvHeads = 1,
                               .headDim = 64,
                               .dtype = dtype,
                               .causal = true,
                               .layout = SequenceLayout::striped()},
                   .world = world,
                   .queries = 130,
                   .keys = 130},
                  dtype == DType::F16 ? 2e-3 : 1.5e-2);
}

TEST_CASE("twenty runs give the same bits") {
  AttentionOptions options{
      .heads = 2, .headDim = 32, .causal = true, .layout = SequenceLayout::striped()};
  HostTensor q = randomTensor(DType::F32, {1, 131, 2, 32}, 1),
             k = randomTensor(DType::F32, {1, 131, 2, 32}, 2),
             v = randomTensor(DType::F32, {1, 131, 2, 32}, 3);
  for (Schedule schedule : commonSchedules) {
    options.schedule = schedule;
    HostAttentionRing ring(options, 4, context());
    AttentionInputs inputs{.q = q, .k = k, .v = v};
    auto forward = ring.forward(inputs);
    auto gradients = ring.backward(inputs, forward, q);
    for (int time = 0; time < 20; ++time) {
      auto again = ring.forward(inputs);
      auto gradientsAgain = ring.backward(inputs, again, q);
      CHECK(sameBits(again.out, forward.out));
      CHECK(sameBits(again.lse, forward.lse));
      CHECK(sameBits(gradientsAgain.dq, gradients.dq));
      CHECK(sameBits(gradientsAgain.dk, gradients.dk));
      CHECK(sameBits(gradientsAgain.dv, gradients.dv));
    }
  }
}

TEST_CASE("bytes sent are the plan's, and a window kills hops") {
  AttentionOptions options{.heads = 2,
                           .headDim = 32,
                           .causal = true,
                           .window = {.left = 10},
                           .layout = SequenceLayout::contiguous()};
  HostTensor q = randomTensor(DType::F32, {1, 128, 2, 32}, 1);
  for (Schedule schedule : commonSchedules) {
    options.schedule = schedule;
    HostAttentionRing ring(options, 8, context());
    AttentionInputs inputs{.q = q, .k = q, .v = q};
    auto forward = ring.forward(inputs);
    auto compare = [&](Pass pass) {
      std::vector<Plan> plans = ring.plans(pass, inputs);
      for (size_t rank = 0; rank < plans.size(); ++rank) {
        const ExecutionReport &report = ring.reports()[rank];
        CHECK(report.sentBytes == plans[rank].sentBytes());
        CHECK(report.receivedBytes == plans[rank].receivedBytes());
        // 16 rows each: their own, and those of the last that are not before its row 6.
        int chunks = schedule.chunks, seen = chunks;
        for (int chunk = 0; rank > 0 && chunk < chunks; ++chunk)
          seen += (chunk + 1) * 16 / chunks > 6;
        CHECK(report.computedSteps == seen);
      }
    };
    compare(Pass::Forward);
    (void)ring.backward(inputs, forward, q);
    compare(Pass::Backward);
  }
}

TEST_CASE("ranks of one process lend each other their keys, unless told to pass them on") {
  HostTensor q = randomTensor(DType::F32, {1, 64, 1, 32}, 1);
  AttentionInputs inputs{.q = q, .k = q, .v = q};
  AttentionOptions options{.headDim = 32};
  auto schedule = [&] {
    return HostAttentionRing(options, 4, context())
        .plans(Pass::Forward, inputs)[0]
        .problem.schedule;
  };
  CHECK(schedule() == Schedule::AllGather);
  options.schedule = Schedule::Ring;
  CHECK(schedule() == Schedule::Ring);
}

TEST_CASE("inputs of any strides give what their copies give") {
  AttentionOptions options{
      .heads = 2, .headDim = 32, .causal = true, .layout = SequenceLayout::zigzag()};
  HostTensor q = randomTensor(DType::F32, {1, 2, 50, 32}, 1); // heads before rows
  HostTensor k = randomTensor(DType::F32, {1, 50, 32, 2}, 2); // heads last: no unit stride
  HostTensor v = randomTensor(DType::F32, {1, 50, 4, 32}, 3); // every other head
  AttentionInputs strided{.q = q.view().permute({0, 2, 1, 3}),
                          .k = k.view().permute({0, 1, 3, 2}),
                          .v = v.view().slice(2, 1, 2)};
  HostTensor qCopy = HostTensor::copyOf(strided.q), kCopy = HostTensor::copyOf(strided.k),
             vCopy = HostTensor::copyOf(strided.v);
  AttentionInputs copied{.q = qCopy, .k = kCopy, .v = vCopy};
  for (auto [world, schedule] :
       {std::pair(1, Schedule::Ring), {3, Schedule::Ring}, {3, Schedule::AllGather}}) {
    options.schedule = schedule;
    HostAttentionRing ring(options, world, context());
    auto expected = ring.forward(copied), actual = ring.forward(strided);
    CHECK(sameBits(actual.out, expected.out));
    CHECK(sameBits(actual.lse, expected.lse));
    auto gradients = ring.backward(copied, expected, qCopy),
         fromStrided = ring.backward(strided, actual, strided.q);
    CHECK(sameBits(fromStrided.dq, gradients.dq));
    CHECK(sameBits(fromStrided.dk, gradients.dk));
    CHECK(sameBits(fromStrided.dv, gradients.dv));
  }
}

TEST_CASE("an expanded input is one row for all") {
  HostTensor q = randomTensor(DType::F32, {1, 20, 1, 32}, 1),
             row = randomTensor(DType::F32, {32}, 2);
  const int64_t shape[] = {1, 20, 1, 32}, strides[] = {0, 0, 0, 1};
  Tensor same(row.data(), DType::F32, shape, strides);
  HostAttentionRing ring({.headDim = 32, .layout = SequenceLayout::striped()}, 3, context());
  auto forward = ring.forward({.q = q, .k = same, .v = same});
  for (int64_t i = 0; i < forward.out.elementCount(); ++i)
    CHECK(forward.out.dataAs<float>()[i] == doctest::Approx(row.dataAs<float>()[i % 32]));
}

TEST_CASE("ranks of their own, with 16-bit gradients gathered from f32 sums") {
  constexpr int world = 3;
  const AttentionShape shape{.batch = 1, .queryLength = 40, .keyLength = 40};
  AttentionOptions options{
      .heads = 2, .headDim = 32, .dtype = DType::BF16, .layout = SequenceLayout::striped()};
  InProcessWorld transports(world);
  runRanks(transports, [&](int rank) {
    int64_t rows = localLength(options.layout, rank, world, 40);
    HostTensor q = randomTensor(DType::BF16, {1, rows, 2, 32}, 1);
    HostTensor out(DType::BF16, q.shape()), lse(DType::F32, {1, 2, rows}),
        dq(DType::BF16, q.shape()), dk(DType::BF16, q.shape()), dv(DType::BF16, q.shape());
    HostAttentionRank attention(options, transports.at(rank), context());
    AttentionInputs inputs{.q = q, .k = q, .v = q};
    ExecutionReport forward = attention.forward(shape, inputs, {out, lse});
    ExecutionReport backward = attention.backward(shape, inputs, {out, lse}, q, {dq, dk, dv});
    int64_t foreign = 40 - rows; // keys of the others
    CHECK(forward.receivedBytes == foreign * 2 * 2 * 32 * 2);
    CHECK(backward.computedSteps == world);
  });
}
