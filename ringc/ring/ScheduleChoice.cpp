#include "ringc/ring/ScheduleChoice.h"

#include <algorithm>

namespace ringc {

namespace {

/// Bytes that a rank may gather unasked. What an all-gather saves are latencies: 64 MiB take so
/// long on any link that these are a few percent of it, and no longer worth the memory.
constexpr int64_t mostGathered = int64_t(64) << 20;

/// What is closer than this stays with the ring.
constexpr double leastGain = 0.05;

int64_t most(int64_t length, int ranks) { return (length + ranks - 1) / ranks; }

} // namespace

ScheduleTimes expectedTimes(const RingProblem &problem, double flopsPerPair,
                            const RingSpeed &speed) {
  int ranks = problem.rings.ringSize;
  double queries = double(most(problem.queryLength, ranks)),
         keys = double(most(problem.keyLength, ranks)), others = ranks - 1;
  double kernel = flopsPerPair * queries * keys / speed.flops;
  double block = keys * double(problem.bytesPerKey) / speed.bytes;
  if (others == 0)
    return {kernel, kernel};
  return {.ring = kernel + others * std::max(kernel, speed.latency + block),
          .allGather = std::max(kernel, speed.latency + others * block) + others * kernel};
}

Schedule chooseSchedule(const RingProblem &problem, double flopsPerPair, const RingSpeed &speed) {
  problem.rings.check();
  int ranks = problem.rings.ringSize;
  int64_t gathered = (ranks - 1) * most(problem.keyLength, ranks) * problem.bytesPerKey;
  ScheduleTimes times = expectedTimes(problem, flopsPerPair, speed);
  return gathered <= mostGathered && times.allGather < (1 - leastGain) * times.ring
             ? Schedule::AllGather
             : Schedule::Ring;
}

} // namespace ringc
