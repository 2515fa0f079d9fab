#include "tests/ring/RingRun.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

using namespace ringc;
using namespace ringc::test;

namespace {

/// Deterministic in (seed, rank, call), whatever the threads do.
class Delays {
public:
  Delays(unsigned seed, int ranks) : generators(size_t(ranks)) {
    for (size_t rank = 0; rank < generators.size(); ++rank)
      generators[rank].seed(seed * 1000 + unsigned(rank));
  }
  void pause(int rank) {
    unsigned draw = generators[size_t(rank)]() % 8;
    if (draw < 4)
      std::this_thread::sleep_for(std::chrono::microseconds(draw * 40));
  }

private:
  std::vector<std::mt19937> generators; ///< each used by its rank's thread alone
};

class DelayedKernels : public HopKernels {
public:
  DelayedKernels(std::unique_ptr<HopKernels> wrapped, std::function<void()> wait)
      : inner(std::move(wrapped)), pause(std::move(wait)) {}
  void run(const HopBlock &block) override {
    pause();
    inner->run(block);
    pause();
  }
  void runNothing() override { inner->runNothing(); }

private:
  std::unique_ptr<HopKernels> inner;
  std::function<void()> pause;
};

/// Counts blocks that stay, and those of them whose keys changed before the next had been used.
class StayingKernels : public HopKernels {
public:
  StayingKernels(std::unique_ptr<HopKernels> wrapped, std::atomic<int> &stayedCount,
                 std::atomic<int> &changedCount)
      : inner(std::move(wrapped)), stayed(stayedCount), changed(changedCount) {}

  void run(const HopBlock &block) override {
    inner->run(block);
    for (const auto &[tensor, bits] : staying)
      changed += std::memcmp(tensor.data(), bits.data(), size_t(tensor.byteCount())) != 0;
    staying.clear();
    for (size_t i = 0; block.stays && i < block.keys.size(); ++i)
      if (block.keys[i].isContiguous()) { // else the rank's own
        staying.emplace_back(block.keys[i], HostTensor::copyOf(block.keys[i]));
        stayed += i == 0;
      }
  }
  void runNothing() override { inner->runNothing(); }

private:
  std::unique_ptr<HopKernels> inner;
  std::vector<std::pair<Tensor, HostTensor>> staying;
  std::atomic<int> &stayed, &changed;
};

bool inside(const Tensor &tensor, const Tensor &region) {
  const std::byte *begin = region.dataAs<std::byte>(), *at = tensor.dataAs<std::byte>();
  return at >= begin && at + tensor.byteCount() <= begin + region.byteCount();
}

/// Counts what a kernel is given that is neither its rank's own nor in its hop buffers.
class FencedKernels : public HopKernels {
public:
  FencedKernels(std::unique_ptr<HopKernels> wrapped, const RankShard &ownShard,
                const HopMemory &hopMemory, std::atomic<int> &outsideCount,
                std::atomic<int> &seenCount)
      : inner(std::move(wrapped)), shard(ownShard), memory(hopMemory), outside(outsideCount),
        seen(seenCount) {}

  void run(const HopBlock &block) override {
    count(block.keys, shard.keys, memory.keys, block);
    count(block.gradients, shard.gradients, memory.gradients, block);
    inner->run(block);
  }
  void runNothing() override { inner->runNothing(); }

private:
  void count(std::span<const Tensor> given, std::span<const KeyIndexed> own,
             std::span<const HopMemory::Buffer> buffers, const HopBlock &block) {
    for (size_t i = 0; i < given.size(); ++i, ++seen) {
      const KeyIndexed &whole = own[i];
      bool lent =
          block.firstRow + block.rows <= whole.tensor.dim(whole.keyAxis) &&
          given[i].data() == whole.tensor.slice(whole.keyAxis, block.firstRow, block.rows).data();
      outside += !lent && !std::ranges::any_of(buffers, [&](const HopMemory::Buffer &buffer) {
        return buffer.bytes() >= bytesPerKey(own) * block.rows &&
               inside(given[i], buffer.views(own, block.rows)[i]);
      });
    }
  }

  std::unique_ptr<HopKernels> inner;
  const RankShard &shard;
  const HopMemory &memory;
  std::atomic<int> &outside, &seen;
};

/// What was in a buffer is gone as soon as something else may come into it.
void poison(int, const Exchange &exchange) {
  for (const ReceivePart &part : exchange.receives)
    std::memset(part.bytes.data(), 0xff, part.bytes.size());
}

RingCase odd() {
  return {.world = 5,
          .ringSize = 5,
          .layout = SequenceLayout::zigzag(),
          .queries = 23,
          .keys = 23,
          .heads = 2,
          .mask = {true, -1, -1}};
}

} // namespace

TEST_CASE("200 runs with random delays before sends, receives and kernels are bit-identical") {
  struct Way {
    int size;
    Schedule schedule;
    bool lends;
  };
  for (auto [size, schedule, lends] : {Way{2, Schedule::Ring, true},
                                       {5, Schedule::Ring, true},
                                       {5, Schedule::ring(3), true},
                                       {4, Schedule::AllGather, true},
                                       {5, Schedule::AllGather, false}}) {
    RingCase ring = odd();
    ring.world = ring.ringSize = size;
    ring.schedule = schedule;
    Outputs first = runRing(ring, randomInputs(ring, 2));
    for (unsigned seed = 0; seed < 100; ++seed) {
      Delays delays(seed, size);
      RunOptions options;
      options.transport.lends = lends;
      options.transport.beforePost = [&](int rank, const Exchange &exchange) {
        poison(rank, exchange);
        delays.pause(rank);
      };
      options.wrap = [&](int rank, Pass, std::unique_ptr<HopKernels> inner, const RankShard &,
                         const HopMemory &) -> std::unique_ptr<HopKernels> {
        return std::make_unique<DelayedKernels>(std::move(inner),
                                                [&delays, rank] { delays.pause(rank); });
      };
      REQUIRE(sameBits(runRing(ring, randomInputs(ring, 2), options), first));
    }
  }
}

TEST_CASE("in a process two blocks of a ring are there at a time, all of an all-gather, and stay "
          "until they have been used") {
  for (int size : {2, 3, 5, 8})
    for (SequenceLayout layout : {SequenceLayout::contiguous(), SequenceLayout::zigzag()})
      for (Schedule schedule : commonSchedules) {
        RingCase ring = odd();
        ring.world = ring.ringSize = size;
        ring.layout = layout;
        ring.schedule = schedule;
        std::atomic<int> stayed = 0, changed = 0;
        RunOptions options;
        options.transport.lends = size % 2 == 0;
        options.transport.beforePost = poison;
        options.wrap = [&](int, Pass, std::unique_ptr<HopKernels> inner, const RankShard &,
                           const HopMemory &) -> std::unique_ptr<HopKernels> {
          return std::make_unique<StayingKernels>(std::move(inner), stayed, changed);
        };
        Inputs inputs = randomInputs(ring, 5);
        reference::Result right = expected(ring, inputs);
        std::vector<RunReport> reports;
        CHECK(worstError(runRing(ring, std::move(inputs), options, &reports), right) < 2e-6);
        int staying = 0;
        for (const RunReport &report : reports)
          for (const Plan *plan : {&report.forwardPlan, &report.backwardPlan})
            for (const Step &step : plan->steps) {
              bool pairs = step.step % 2 == 0 && size_t(step.step) + 1 < plan->steps.size() &&
                           plan->steps[size_t(step.step) + 1].computes();
              bool before = step.step < plan->lastComputed();
              staying += step.computes() && (plan->isRing() ? pairs : before);
            }
        CHECK(stayed == staying);
        CHECK(changed == 0);
      }
}

TEST_CASE("an executor sees its own shard and its hop buffers") {
  // Shards lie between unmapped pages, the whole sequence is freed before the ring starts, gaps and
  // buffers to be received into are NaN.
  for (auto keys : {RunOptions::Keys::RowMajor, RunOptions::Keys::WithGaps})
    for (SequenceLayout layout :
         {SequenceLayout::contiguous(), SequenceLayout::striped(), SequenceLayout::zigzag()})
      for (Schedule schedule : commonSchedules) {
        RingCase ring = odd();
        ring.layout = layout;
        ring.schedule = schedule;
        std::atomic<int> outside = 0, seen = 0;
        RunOptions options;
        options.keys = keys;
        options.transport.lends = false;
        options.transport.beforePost = poison;
        options.wrap = [&](int, Pass, std::unique_ptr<HopKernels> inner, const RankShard &shard,
                           const HopMemory &memory) -> std::unique_ptr<HopKernels> {
          return std::make_unique<FencedKernels>(std::move(inner), shard, memory, outside, seen);
        };
        Inputs inputs = randomInputs(ring, 4);
        reference::Result right = expected(ring, inputs);
        CHECK(worstError(runRing(ring, std::move(inputs), options), right) < 2e-6);
        CHECK(outside == 0);
        CHECK(seen > 0);
      }
}
