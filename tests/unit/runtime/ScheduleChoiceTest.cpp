#include "ringc/ring/ScheduleChoice.h"

#include "ringc/attention/shared/Options.h"
#include "ringc/attention/shared/RankSchedule.h"
#include "ringc/support/Error.h"

#include <doctest/doctest.h>

#include <optional>
#include <sched.h>
#include <thread>

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

TEST_CASE("what is chosen depends on options and sizes alone") {
  AttentionOptions options = completed({.headDim = 64});
  std::optional<Schedule> tuned;
  auto chosen = [&](int ranks, bool lends, Pass pass, int64_t length) {
    return RankSchedule(options, ranks, lends, speed)
        .choose(pass, problemOf(ranks, length), 1, tuned);
  };
  CHECK(chosen(4, /*lends=*/true, Pass::Forward, 40000) == Schedule::AllGather);
  CHECK(chosen(2, false, Pass::Forward, 400) == Schedule::Ring);
  CHECK(chosen(1, true, Pass::Forward, 400) == Schedule::Ring);
  CHECK(chosen(4, false, Pass::Forward, 400) == Schedule::AllGather);
  CHECK(chosen(4, false, Pass::Backward, 40000) == Schedule::Ring);
  // The form of a backward is not the same on all hosts by default.
  for (int64_t length = 100; length < 20000; length += 100) {
    options.backward = BackwardForm::Split;
    Schedule split = chosen(4, false, Pass::Backward, length);
    options.backward = BackwardForm::Fused;
    CHECK(chosen(4, false, Pass::Backward, length) == split);
  }
  // What a table has goes before what is expected, and behind what is given.
  tuned = Schedule::AllGather;
  CHECK(chosen(4, false, Pass::Backward, 40000) == Schedule::AllGather);
  tuned = Schedule::Ring;
  CHECK(chosen(4, false, Pass::Forward, 400) == Schedule::Ring);
  CHECK(chosen(4, true, Pass::Forward, 400) == Schedule::AllGather); // costs nothing
  tuned = Schedule::AllGather;
  options.schedule = Schedule::Ring;
  CHECK(chosen(4, true, Pass::Forward, 400) == Schedule::Ring);
  CHECK(chosen(4, false, Pass::Forward, 400) == Schedule::Ring);
}

TEST_CASE("typical speeds: short sequences are gathered, long ones go around") {
  for (DType dtype : {DType::F32, DType::BF16}) {
    for (const RingSpeed &typical :
         {typicalHostSpeed(dtype), typicalDeviceSpeed(dtype, F32Products::Tf32x3)}) {
      AttentionOptions options = completed({.heads = 32, .headDim = 128, .dtype = dtype});
      RankSchedule schedule(options, 4, false, typical);
      CHECK(schedule.choose(Pass::Forward, problemOf(4, 64), 1, {}) == Schedule::AllGather);
      CHECK(schedule.choose(Pass::Forward, problemOf(4, 1 << 17, 16384), 1, {}) == Schedule::Ring);
    }
  }
}

TEST_CASE("the default backward depends on the machine, not on threads") {
  auto backward = [](int64_t kvHeads, std::optional<int> processors) {
    return *completed({.heads = 64, .kvHeads = kvHeads}, processors).backward;
  };
  CHECK(backward(8, 2) == BackwardForm::Fused);
  CHECK(backward(1, 2) == BackwardForm::Split);
  CHECK(backward(8, 64) == BackwardForm::Split);
  CHECK(backward(64, 64) == BackwardForm::Fused);
  CHECK(backward(64, {}) == BackwardForm::Split); // a device
  CHECK(*completed({.backward = BackwardForm::Split}, 1).backward == BackwardForm::Split);
  int processors = hostProcessors();
  CHECK(processors >= 1);
  std::jthread([&] { // bound to one of them
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(size_t(sched_getcpu()), &one);
    (void)sched_setaffinity(0, sizeof one, &one);
    CHECK(hostProcessors() == processors);
  })
      .join();
}
