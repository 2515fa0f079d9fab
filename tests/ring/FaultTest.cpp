#include "ringc/support/Error.h"
#include "tests/ring/RingRun.h"

#include <doctest/doctest.h>

#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace ringc;
using namespace ringc::test;
using namespace std::chrono_literals;

namespace {

RunOptions deadlineOf(std::chrono::milliseconds deadline) {
  RunOptions options;
  options.transport.deadline = deadline;
  return options;
}

class FailingKernels : public HopKernels {
public:
  void run(const HopBlock &block) override {
    if (block.step >= 1)
      throw std::runtime_error("kernel failed");
  }
  void runNothing() override {}
};

class IdleKernels : public HopKernels {
public:
  void run(const HopBlock &) override {}
  void runNothing() override {}
};

const RingCase three{.world = 3, .ringSize = 3, .queries = 10, .keys = 10};

} // namespace

TEST_CASE("a late rank is waited for") {
  for (Schedule schedule : commonSchedules) {
    RingCase ring = three;
    ring.schedule = schedule;
    RunOptions options = deadlineOf(60s);
    options.transport.beforePost = [](int rank, const Exchange &exchange) {
      if (rank == 1 && exchange.hop == 0 && exchange.channel == Channel::Keys)
        std::this_thread::sleep_for(500ms);
    };
    Inputs inputs = randomInputs(ring, 1);
    reference::Result right = expected(ring, inputs);
    CHECK(worstError(runRing(ring, std::move(inputs), options), right) < 2e-6);
  }
}

TEST_CASE("a rank later than the deadline fails the run, naming hop and peer") {
  RunOptions options = deadlineOf(50ms);
  options.transport.beforePost = [](int rank, const Exchange &exchange) {
    if (rank == 1 && exchange.hop == 1)
      std::this_thread::sleep_for(400ms);
  };
  for (Schedule schedule : commonSchedules)
    try {
      RingCase ring = three;
      ring.schedule = schedule;
      runRing(ring, randomInputs(ring, 1), options);
      FAIL("ran through");
    } catch (const PeerError &error) {
      CHECK(std::string(error.what()).find("hop " + std::to_string(error.hop())) !=
            std::string::npos);
      CHECK(std::string(error.what()).find("peer " + std::to_string(error.peer())) !=
            std::string::npos);
    }
}

TEST_CASE("a kernel that fails ends all ranks with its error") {
  RunOptions options = deadlineOf(60s);
  options.wrap = [](int rank, Pass pass, std::unique_ptr<HopKernels> inner, const RankShard &,
                    const HopMemory &) -> std::unique_ptr<HopKernels> {
    if (rank == 2 && pass == Pass::Backward)
      return std::make_unique<FailingKernels>();
    return inner;
  };
  for (Schedule schedule : commonSchedules) {
    RingCase ring = three;
    ring.schedule = schedule;
    auto start = std::chrono::steady_clock::now();
    CHECK_THROWS_WITH_AS(runRing(ring, randomInputs(ring, 1), options), "kernel failed",
                         std::runtime_error);
    CHECK(std::chrono::steady_clock::now() - start < 30s);
  }
  // The next world is another one.
  CHECK_NOTHROW(runRing(three, randomInputs(three, 1)));
}

TEST_CASE("a shard that is not the plan's is refused before anything is sent") {
  RingProblem problem{.rings = {1, 1},
                      .layout = {},
                      .queryLength = 4,
                      .keyLength = 4,
                      .bytesPerKey = 16,
                      .gradientBytesPerKey = 16};
  Plan plan = planRank(Pass::Backward, 0, problem, [](int, int, int) { return Visibility::Full; });
  HostTensor right(DType::F32, {1, 4, 1, 4}), shortRows(DType::F32, {1, 3, 1, 4}),
      narrow(DType::F32, {1, 4, 1, 2}), half(DType::F16, {1, 4, 1, 8}),
      wide(DType::F32, {1, 4, 2, 4});
  IdleKernels kernels;
  auto run = [&](const Tensor &keys, const Tensor &gradients, int axis = 1) {
    InProcessWorld world(1);
    HopMemory memory;
    RankShard shard{.keys = {{keys, axis}}, .gradients = {{gradients, 1}}};
    execute(plan, shard, kernels, world.at(0), memory);
  };
  CHECK_NOTHROW(run(right, right));
  CHECK_NOTHROW(run(half, right));
  CHECK_THROWS_AS(run(shortRows, right), InputError);
  CHECK_THROWS_AS(run(narrow, right), InputError);
  CHECK_THROWS_AS(run(right, shortRows), InputError);
  CHECK_THROWS_WITH_AS(run(right, half),
                       "gradients of a shard: got f16[1, 4, 1, 8], allowed: f32 and row-major",
                       InputError);
  CHECK_THROWS_AS(run(right, wide.view().slice(2, 0, 1)), InputError);
  CHECK_THROWS_AS(run(right, right, 4), InputError);

  InProcessWorld two(2);
  HopMemory memory;
  RankShard shard{.keys = {{right, 1}}, .gradients = {{right, 1}}};
  CHECK_THROWS_AS(execute(plan, shard, kernels, two.at(0), memory), InputError);
}
