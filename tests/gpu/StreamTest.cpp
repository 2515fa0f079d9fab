// Rings in the order of streams on real devices: numbers against the ring of the host, graphs, and
// what a call costs the host.

#include "ringc/Env.h"
#include "ringc/attention/device/DeviceElementwise.h"
#include "ringc/jit/DeviceCompiler.h"
#include "ringc/jit/HostCompiler.h"
#include "tests/gpu/RankTensors.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <vector>

using namespace ringc;
using namespace ringc::test;

namespace {

std::vector<DeviceContext> allDevices() {
  static std::vector<DeviceContext> shared = [] {
    std::vector<DeviceContext> made;
    int count = CudaDriver::open(Env::read().cudaLibrary)->deviceCount();
    for (int ordinal = 0; ordinal < count; ++ordinal)
      made.push_back(deviceContext(ordinal));
    return made;
  }();
  return shared;
}

const AttentionOptions options{.heads = 4,
                               .kvHeads = 2,
                               .headDim = 64,
                               .dtype = DType::BF16,
                               .causal = true,
                               .layout = SequenceLayout::zigzag()};

AttentionOptions with(Schedule schedule) {
  AttentionOptions made = options;
  made.schedule = schedule;
  return made;
}

struct Expected {
  explicit Expected(const RingInputs &whole) {
    static const AttentionContext host = hostContext();
    HostAttentionRing onHost(options, 1, host);
    forward = onHost.forward(whole.inputs());
    gradients = onHost.backward(whole.inputs(), forward, whole.dout);
  }
  void check(const RankTensors &tensors) const {
    constexpr double bar = 1e-2; // both round p to 16 bits, in tiles of their own
    HostAttentionRing::Forward out = tensors.forward();
    CHECK(errorOf(out.out, forward.out) < bar);
    CHECK(errorOf(out.lse, forward.lse) < bar);
    HostAttentionRing::Gradients back = tensors.gradients();
    CHECK(errorOf(back.dq, gradients.dq) < 2 * bar);
    CHECK(errorOf(back.dk, gradients.dk) < 2 * bar);
    CHECK(errorOf(back.dv, gradients.dv) < 2 * bar);
  }

  HostAttentionRing::Forward forward;
  HostAttentionRing::Gradients gradients;
};

std::vector<DeviceContext> ofRanks(const DeviceAttentionRing &ring, int world) {
  std::vector<DeviceContext> made;
  for (int rank = 0; rank < world; ++rank)
    made.push_back(ring.deviceOf(rank));
  return made;
}

} // namespace

TEST_CASE("ranks dealt over all devices; dense tensors, and tensors with gaps") {
  for (auto [world, schedule] : {std::pair(1, Schedule::Ring),
                                 {2, Schedule::Ring},
                                 {7, Schedule::Ring},
                                 {7, Schedule::AllGather}})
    for (auto layout : {RankTensors::Layout::Dense, RankTensors::Layout::Packed}) {
      CAPTURE(world);
      CAPTURE(nameOf(schedule));
      DeviceAttentionRing ring(with(schedule), world, allDevices());
      RingInputs whole(options, 2, 333, 333);
      RankTensors tensors(options, world, whole, ofRanks(ring, world), layout);
      CudaStream stream(ring.deviceOf(0).device);
      for (int again = 0; again < 3; ++again) {
        ring.forward(stream, tensors.shape(), tensors.forwards);
        ring.backward(stream, tensors.shape(), tensors.backwards);
      }
      stream.synchronize();
      Expected(whole).check(tensors);
    }
}

TEST_CASE("a ring captured in a graph, replayed on other numbers") {
  for (auto [world, schedule] :
       {std::pair(1, Schedule::Ring), {4, Schedule::Ring}, {4, Schedule::AllGather}}) {
    CAPTURE(world);
    CAPTURE(nameOf(schedule));
    DeviceAttentionRing ring(with(schedule), world, allDevices());
    RingInputs whole(options, 1, 257, 257);
    RankTensors tensors(options, world, whole, ofRanks(ring, world));
    CudaStream stream(ring.deviceOf(0).device);
    ring.prepare(Pass::Forward, tensors.shape(), tensors.inputs());
    ring.prepare(Pass::Backward, tensors.shape(), tensors.inputs());
    CudaGraph graph = stream.capture([&] {
      ring.forward(stream, tensors.shape(), tensors.forwards);
      ring.backward(stream, tensors.shape(), tensors.backwards);
    });
    for (int again = 0; again < 2; ++again) {
      std::swap(whole.k, whole.v);
      tensors.refill(whole);
      graph.launch(stream);
      stream.synchronize();
      Expected(whole).check(tensors);
    }
  }
}

TEST_CASE("a workspace that does not fit says what was asked and what is free") {
  DeviceAttentionRing ring(options, 1, {allDevices()[0]});
  AttentionShape shape{1, int64_t(1) << 29, int64_t(1) << 29};
  AttentionInputs inputs;
  inputs.q = Tensor(nullptr, DType::BF16, {1, shape.queryLength, 4, 64});
  inputs.k = Tensor(nullptr, DType::BF16, {1, shape.keyLength, 2, 64});
  inputs.v = inputs.k;
  std::string message = "nothing thrown";
  try {
    ring.prepare(Pass::Backward, shape, std::span(&inputs, 1));
  } catch (const CudaError &error) {
    message = error.what();
  }
  CAPTURE(message);
  CHECK(message.find("CUDA_ERROR_OUT_OF_MEMORY") != message.npos);
  CHECK(message.find("free: ") != message.npos);
}

TEST_CASE("host time of prepared calls, printed") {
  DeviceAttentionRing ring(options, 1, {allDevices()[0]});
  RingInputs whole(options, 1, 128, 128);
  RankTensors tensors(options, 1, whole, ofRanks(ring, 1));
  CudaStream stream(ring.deviceOf(0).device);
  ring.prepare(Pass::Forward, tensors.shape(), tensors.inputs());
  auto median = [&](auto &&body) {
    std::vector<double> micros;
    for (int time = 0; time < 200; ++time) {
      stream.synchronize();
      auto start = std::chrono::steady_clock::now();
      body();
      micros.push_back(
          std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start)
              .count());
    }
    std::ranges::sort(micros);
    return micros[micros.size() / 2];
  };
  stream.synchronize();
  std::printf("host time, median of 200: forward pass of one rank %.2f us\n",
              median([&] { ring.forward(stream, tensors.shape(), tensors.forwards); }));
  DeviceElementwise elementwise(ring.deviceOf(0).device);
  DeviceTensor numbers(ring.deviceOf(0).device, DType::F32, std::array<int64_t, 1>{256});
  std::printf("host time, median of 200: one launch %.2f us\n",
              median([&] { elementwise.add(stream, numbers, numbers); }));
  stream.synchronize();
}
