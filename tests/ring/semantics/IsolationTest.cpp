#include "tests/ring/semantics/CompiledRing.h"
#include "tests/ring/semantics/Errors.h"

#include <doctest/doctest.h>

#include <chrono>
#include <mutex>
#include <random>
#include <thread>

using namespace ringc;
using namespace ringc::test;

namespace {

/// What a rank sent and held is what its plan says.
void checkAgainstPlan(const Plan &plan, const ExecutionReport &report) {
  CHECK(report.sentBytes == plan.sentBytes());
  CHECK(report.receivedBytes == plan.receivedBytes());
}

/// Every eighth pause sleeps for 0 to 200 us. Which of them draws which number is up to the
/// threads.
class Delays {
public:
  explicit Delays(uint64_t seed) : random(seed) {}

  void pause() {
    uint64_t draw;
    {
      std::lock_guard lock(mutex);
      draw = random() % 1608;
    }
    if (draw <= 200)
      std::this_thread::sleep_for(std::chrono::microseconds(draw));
  }

private:
  std::mutex mutex;
  std::mt19937_64 random;
};

} // namespace

TEST_CASE("compiled kernels see their rank's shard and its hop buffers, all else is poison") {
  for (SequenceLayout layout : {SequenceLayout::contiguous(), SequenceLayout::striped(),
                                SequenceLayout::striped(3), SequenceLayout::zigzag()})
    for (bool causal : {false, true})
      for (bool masked : {false, true})
        for (auto [world, schedule] : {std::pair(2, Schedule::Ring),
                                       {5, Schedule::Ring},
                                       {2, Schedule::AllGather},
                                       {5, Schedule::AllGather}}) {
          BackwardForm form = world == 2 ? BackwardForm::Split : BackwardForm::Fused;
          Case given{.options = {.heads = 4,
                                 .kvHeads = 2,
                                 .headDim = 20,
                                 .valueHeadDim = 12,
                                 .causal = causal,
                                 .window = {causal ? 30 : -1, -1},
                                 .layout = layout,
                                 .schedule = schedule,
                                 .backward = form},
                     .world = world,
                     .shape = {2, 67, 67}};
          if (masked) {
            given.keyMask.assign(2 * 67, 1);
            std::fill_n(given.keyMask.begin() + 5, 20, uint8_t(0));
          }
          uint64_t seed = freshSeed();
          INFO(given.name(), ", RINGC_TEST_SEED=", seed);
          std::vector<RankReport> reports;
          reference::Result result =
              computeFenced(given, randomData(given, seed), reports, {.lends = false});
          checkResult(given, randomData(given, seed), result);
          for (const RankReport &report : reports) {
            checkAgainstPlan(report.forwardPlan, report.forward);
            checkAgainstPlan(report.backwardPlan, report.backward);
            CHECK(report.forward.hopBufferBytes ==
                  report.forwardPlan.hopBufferBytes(Plan::OwnKeys::Contiguous));
            CHECK(report.backward.hopBufferBytes ==
                  report.backwardPlan.hopBufferBytes(Plan::OwnKeys::Contiguous));
            CHECK(report.outside == 0);
            CHECK(report.programs > 0);
          }
        }
}

TEST_CASE(
    "buffer reused while a kernel still reads it: 200 runs with random delays before sends and "
    "receives and in kernel launches are bit-equal") {
  struct Ring {
    SequenceLayout layout;
    int world;
    Schedule schedule = Schedule::Ring;
  };
  for (auto [layout, world, schedule] :
       {Ring{SequenceLayout::contiguous(), 2}, Ring{SequenceLayout::striped(), 3},
        Ring{SequenceLayout::striped(3), 4}, Ring{SequenceLayout::zigzag(), 5},
        Ring{SequenceLayout::striped(), 4, Schedule::AllGather}}) {
    // Several programs in each launch, so that some of them sleep while others run.
    Case given{.options = {.heads = 2,
                           .headDim = 16,
                           .causal = true,
                           .layout = layout,
                           .schedule = schedule,
                           .tile = {{"q", 16}, {"kv", 16}}},
               .world = world,
               .shape = {1, 53, 53}};
    uint64_t seed = freshSeed();
    INFO(given.name(), ", RINGC_TEST_SEED=", seed);
    std::vector<RankReport> reports;
    reference::Result first = computeFenced(given, finiteData(given, seed), reports);
    checkResult(given, finiteData(given, seed), first);
    for (uint64_t run = 0; run < 200; ++run) {
      Delays delays(seed + run);
      InProcessOptions transport;
      transport.beforePost = [&](int, const Exchange &) { delays.pause(); };
      reference::Result again = computeFenced(given, finiteData(given, seed), reports,
                                              std::move(transport), [&] { delays.pause(); });
      for (auto part : {&reference::Result::out, &reference::Result::lse, &reference::Result::dq,
                        &reference::Result::dk, &reference::Result::dv})
        REQUIRE((first.*part).data == (again.*part).data);
    }
  }
}

TEST_CASE("sub-ring id compared with global rank; gradients return to the wrong owner") {
  // The keys and values of world rank r are scaled by 1 + r / 4; hops are less than the ring where
  // the window says so.
  for (SequenceLayout layout :
       {SequenceLayout::contiguous(), SequenceLayout::striped(2), SequenceLayout::zigzag()})
    for (int ringSize : {2, 4, 8})
      for (int64_t batch : {1, 3, 8})
        for (int64_t window : {-1, 4, 11}) {
          Case given{.options = {.headDim = 16,
                                 .causal = true,
                                 .window = {window, -1},
                                 .layout = layout,
                                 .ringSize = ringSize},
                     .world = 8,
                     .shape = {batch, 39, 39}};
          uint64_t seed = freshSeed();
          INFO("RINGC_TEST_SEED=", seed);
          Data data = finiteData(given, seed);
          SubRings rings{8, ringSize};
          for (int rank = 0; rank < 8; ++rank) {
            BatchRange part = batchOfRing(batch, rings.rings(), rings.ringOf(rank));
            int place = rings.placeOf(rank);
            Positions at = positions(layout, place, ringSize, 39);
            for (int64_t row = 0; row < localLength(layout, place, ringSize, 39); ++row)
              for (int64_t b = part.begin; b < part.begin + part.count; ++b)
                for (const HostTensor *each : {&data.k, &data.v})
                  for (int64_t c = 0; c < 16; ++c)
                    each->dataAs<float>()[(b * 39 + at(row)) * 16 + c] *= 1 + float(rank) / 4;
          }
          checkCase(given, data);
        }
}

TEST_CASE("stale KV in backward: without rank 1's keys and values, dQ of rank 0 is another") {
  Case given{.options = {.headDim = 16}, .world = 3, .shape = {1, 36, 36}};
  uint64_t seed = freshSeed();
  INFO("RINGC_TEST_SEED=", seed);
  Data whole = finiteData(given, seed), without = finiteData(given, seed);
  for (int64_t at = 12 * 16; at < 24 * 16; ++at)
    without.k.dataAs<float>()[at] = without.v.dataAs<float>()[at] = 0;
  // One object for all, so that something stale could be there.
  reference::Result a = compute(given, whole), b = compute(given, without);
  checkResult(given, whole, a);
  checkResult(given, without, b);
  CHECK(std::abs(a.dq.at(0, 0, 0, 0) - b.dq.at(0, 0, 0, 0)) > 1e-6);
}
