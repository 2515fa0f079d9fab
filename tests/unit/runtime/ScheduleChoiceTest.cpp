#include "runtime/ring/ScheduleChoice.h"

#include "runtime/Error.h"
#include "runtime/attention/Options.h"
#include "runtime/attention/RankSchedule.h"
#include "runtime/comm/InProcess.h"
#include "runtime/ring/SpeedProbe.h"

#include <doctest/doctest.h>

#include <vector>

using namespace ringc;

namespace {

/// 10 TFLOP/s, 10 GB/s, 10 microseconds.
constexpr RingSpeed speed{.flops = 1e13, .bytes = 1e10, .latency = 1e-5};

RingProblem problemOf(int ranks, int64_t length, int64_t bytesPerKey = 1000) {
  return {.rings = {ranks, ranks},
          .layout = {},
          .queryLength = length,
          .keyLength = length,
          .bytesPerKey = bytesPerKey};
}

} // namespace

TEST_CASE("expected times: what hides behind what") {
  // 100 x 100 pairs of 1e4 flops are 10 us, 100 keys of 1000 bytes are 10 us.
  ScheduleTimes times = expectedTimes(problemOf(4, 400), 1e4, speed);
  CHECK(times.ring == doctest::Approx(10e-6 + 3 * 20e-6));
  CHECK(times.allGather == doctest::Approx((10e-6 + 3 * 10e-6) + 3 * 10e-6));
  // A kernel of 100 us hides its hop; the all-gather's three blocks, too.
  times = expectedTimes(problemOf(4, 400), 1e5, speed);
  CHECK(times.ring == doctest::Approx(4 * 100e-6));
  CHECK(times.allGather == doctest::Approx(4 * 100e-6));
  // One of 1 us hides nothing.
  times = expectedTimes(problemOf(4, 400), 1e3, speed);
  CHECK(times.ring == doctest::Approx(1e-6 + 3 * 20e-6));
  CHECK(times.allGather == doctest::Approx(40e-6 + 3 * 1e-6));
  CHECK(expectedTimes(problemOf(1, 400), 1e4, speed).ring == doctest::Approx(160e-6));
}

TEST_CASE("an all-gather is chosen where kernels are shorter than a latency") {
  CHECK(chooseSchedule(problemOf(4, 400), 1e3, speed) == Schedule::AllGather);
  CHECK(chooseSchedule(problemOf(4, 400), 1e4, speed) == Schedule::Ring); // nothing to gain
  CHECK(chooseSchedule(problemOf(4, 400), 1e5, speed) == Schedule::Ring);
  CHECK(chooseSchedule(problemOf(8, 800), 1e3, speed) == Schedule::AllGather);
  // A ring of two, or of one, is the same either way, and so it is a ring.
  for (int ranks : {1, 2})
    CHECK(chooseSchedule(problemOf(ranks, 100 * ranks), 1e3, speed) == Schedule::Ring);
  // A faster link gains less and less; a slower start more.
  CHECK(chooseSchedule(problemOf(4, 400), 5e3, speed) == Schedule::AllGather);
  CHECK(chooseSchedule(problemOf(4, 400), 5e3, {1e13, 1e10, 1e-6}) == Schedule::Ring);
}

TEST_CASE("it is chosen for no sequence that would take much memory") {
  RingSpeed slowStart{.flops = 1e15, .bytes = 1e10, .latency = 1};
  constexpr int64_t keys = (64 << 20) / 1024; // of 1 KiB, that three others hold
  CHECK(chooseSchedule(problemOf(4, keys / 3 * 4, 1024), 1, slowStart) == Schedule::AllGather);
  CHECK(chooseSchedule(problemOf(4, keys / 3 * 4 + 8, 1024), 1, slowStart) == Schedule::Ring);
}

TEST_CASE("an empty sequence costs latencies alone, and a ring that cannot be is refused") {
  CHECK(chooseSchedule(problemOf(4, 0), 1e3, speed) == Schedule::AllGather);
  RingProblem problem = problemOf(4, 400);
  problem.rings.ringSize = 3;
  CHECK_THROWS_AS((void)chooseSchedule(problem, 1e3, speed), InputError);
}

TEST_CASE("a ring is as fast as the slowest of its ranks") {
  const RingSpeed ranks[] = {{1, 20, 0.3}, {2, 10, 0.1}, {3, 30, 0.2}};
  RingSpeed slowest = RingSpeed::slowest(ranks);
  CHECK(slowest.flops == 1);
  CHECK(slowest.bytes == 10);
  CHECK(slowest.latency == 0.3);
}

TEST_CASE("ranks that measure their links come to the same figures") {
  constexpr int size = 6; // two rings
  InProcessWorld world(size, {.lends = false});
  std::vector<RingSpeed> found(size);
  runRanks(world, [&](int rank) {
    found[size_t(rank)] = probeSpeed(world.at(rank), ranksOfRing(rank, 3), 100.0 + rank);
  });
  for (int ring : {0, 1})
    for (int place = 0; place < 3; ++place) {
      const RingSpeed &rank = found[size_t(3 * ring + place)], &first = found[size_t(3 * ring)];
      CHECK(rank.flops == 100 + 3 * ring);
      CHECK(rank.bytes == first.bytes);
      CHECK(rank.latency == first.latency);
      CHECK(rank.bytes > 1e6);
      CHECK(rank.latency > 0);
    }
}

TEST_CASE("speeds are measured once, and only where they matter") {
  int measured = 0;
  auto measure = [&] {
    ++measured;
    return speed;
  };
  AttentionOptions options = completed({.headDim = 64});
  RankSchedule lending(options, 4, /*lends=*/true, measure);
  CHECK(lending.choose(Pass::Forward, problemOf(4, 400), 1) == Schedule::AllGather);
  RankSchedule two(options, 2, false, measure), alone(options, 1, true, measure);
  CHECK(two.choose(Pass::Forward, problemOf(2, 400), 1) == Schedule::Ring);
  CHECK(alone.choose(Pass::Forward, problemOf(1, 400), 1) == Schedule::Ring);
  CHECK(measured == 0);
  RankSchedule four(options, 4, false, measure);
  CHECK(four.choose(Pass::Forward, problemOf(4, 400), 1) == Schedule::AllGather);
  CHECK(four.choose(Pass::Backward, problemOf(4, 40000), 1) == Schedule::Ring);
  CHECK(measured == 1);
  options.schedule = Schedule::Ring;
  CHECK(lending.choose(Pass::Forward, problemOf(4, 400), 1) == Schedule::Ring);
  CHECK(four.choose(Pass::Forward, problemOf(4, 400), 1) == Schedule::Ring);
}
