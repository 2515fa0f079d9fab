// The trace of a ring on streams, and the rings of the commands, without a device.

#include "ringc/attention/shared/Options.h"
#include "ringc/world/DeviceRing.h"
#include "tests/gpu/FakeWorld.h"
#include "tests/gpu/RankTensors.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <set>

using namespace ringc;
using namespace ringc::test;

namespace {

const AttentionOptions options{.heads = 4,
                               .kvHeads = 2,
                               .headDim = 32,
                               .causal = true,
                               .layout = SequenceLayout::contiguous(),
                               .schedule = Schedule::Ring};

std::vector<DeviceContext> traced(std::vector<DeviceContext> devices,
                                  const std::shared_ptr<Trace> &trace) {
  for (DeviceContext &device : devices)
    device.trace = trace;
  return devices;
}

bool sameBits(const HostTensor &a, const HostTensor &b) {
  return a.byteCount() == b.byteCount() &&
         std::memcmp(a.data(), b.data(), size_t(a.byteCount())) == 0;
}

} // namespace

TEST_CASE("spans on devices are the hops of the plans, by events of their streams") {
  auto trace = std::make_shared<Trace>();
  constexpr int world = 4;
  DeviceAttentionRing ring(options, world, traced(fakeWorld(2), trace));
  std::vector<DeviceContext> ofRanks;
  for (int rank = 0; rank < world; ++rank)
    ofRanks.push_back(ring.deviceOf(rank));
  RingInputs whole(options, 1, 64, 64);
  RankTensors tensors(options, world, whole, ofRanks);
  CudaStream stream(ofRanks[0].device);
  trace->start();
  ring.forward(stream, tensors.shape(), tensors.forwards);
  stream.synchronize();
  std::vector<Span> spans = trace->stop();
  for (const Plan &plan : ring.plans(Pass::Forward, tensors.shape(), tensors.inputs()))
    for (const Step &step : plan.steps) {
      std::set<SpanKind> kinds;
      for (const Span &span : spans)
        if (span.rank == plan.rank && span.hop == step.step)
          kinds.insert(span.kind);
      CAPTURE(plan.rank);
      CAPTURE(step.step);
      CHECK(kinds.contains(SpanKind::Compute) == step.computes());
      CHECK(kinds.contains(SpanKind::Keys) == (step.keysTo || step.keysFrom));
    }
  CHECK(fake().calls.end() != std::ranges::find(fake().calls, "cuEventElapsedTime"));
}

TEST_CASE("the rings of the commands give what the host gives") {
  for (bool biased : {false, true})
    for (int world : {1, 3}) {
      RingInputs whole(options, 2, 50, 50);
      AttentionInputs inputs = whole.inputs();
      HostTensor bias = randomNumbers(DType::F32, {1, 4, 50, 50}, 7), keyMask(DType::Bool, {2, 50});
      std::fill_n(keyMask.dataAs<bool>(), 100, true);
      keyMask.dataAs<bool>()[3] = false;
      if (biased) {
        inputs.bias = bias;
        inputs.keyMask = keyMask;
      }
      HostAttentionRing onHost(completed(options), world, hostWorld()); // the defaults of a device
      HostAttentionRing::Forward forward = onHost.forward(inputs);
      HostAttentionRing::Gradients gradients = onHost.backward(inputs, forward, whole.dout);
      std::unique_ptr<WorldRing> ring =
          makeDeviceRing(options, world, fakeWorld(world > 1 ? 2 : 1), inputs, whole.dout);
      ring->prepare(Pass::Forward);
      ring->prepare(Pass::Backward);
      ring->forward();
      CHECK(ring->reports().size() == size_t(world));
      CHECK(ring->timed(Pass::Backward).launchMicroseconds.value_or(0) > 0);
      WorldRing::Results results = ring->collect();
      CHECK(sameBits(results.forward.out, forward.out));
      CHECK(sameBits(results.forward.lse, forward.lse));
      CHECK(sameBits(results.gradients.dq, gradients.dq));
      CHECK(sameBits(results.gradients.dk, gradients.dk));
      CHECK(sameBits(results.gradients.dv, gradients.dv));
      ring.reset();
    }
}
