// Attention in the order of streams without a device: what is given to the driver, and in which
// order, on the tests' own driver and NCCL.

#include "ringc/attention/shared/Options.h"
#include "ringc/support/Error.h"
#include "tests/gpu/FakeThreadWorld.h"
#include "tests/gpu/FakeWorld.h"
#include "tests/gpu/RankTensors.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <functional>

using namespace ringc;
using namespace ringc::test;

namespace {

bool sameBits(const HostTensor &a, const HostTensor &b) {
  return a.byteCount() == b.byteCount() &&
         std::memcmp(a.data(), b.data(), size_t(a.byteCount())) == 0;
}

const AttentionOptions options{.heads = 4,
                               .kvHeads = 2,
                               .headDim = 32,
                               .dtype = DType::BF16,
                               .causal = true,
                               .layout = SequenceLayout::zigzag(),
                               .schedule = Schedule::Ring};

AttentionOptions with(Schedule schedule) {
  AttentionOptions made = options;
  made.schedule = schedule;
  return made;
}

struct Expected {
  Expected(const RingInputs &whole, int world, const AttentionOptions &given = options) {
    HostAttentionRing onHost(completed(given), world, hostWorld()); // the defaults of a device
    forward = onHost.forward(whole.inputs());
    gradients = onHost.backward(whole.inputs(), forward, whole.dout);
  }
  void check(const RankTensors &tensors) const {
    HostAttentionRing::Forward out = tensors.forward();
    CHECK(sameBits(out.out, forward.out));
    CHECK(sameBits(out.lse, forward.lse));
    HostAttentionRing::Gradients back = tensors.gradients();
    CHECK(sameBits(back.dq, gradients.dq));
    CHECK(sameBits(back.dk, gradients.dk));
    CHECK(sameBits(back.dv, gradients.dv));
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

/// Names of the calls since `first`, without numbers.
std::vector<std::string> callsSince(size_t first) {
  std::vector<std::string> names;
  for (size_t at = first; at < fake().calls.size(); ++at)
    names.push_back(fake().calls[at].substr(0, fake().calls[at].find(' ')));
  return names;
}

bool has(const std::vector<std::string> &calls, std::string_view name) {
  return std::ranges::find(calls, name) != calls.end();
}

} // namespace

TEST_CASE("a prepared pass allocates nothing and waits for nothing, on any number of devices") {
  for (auto [devices, schedule] : {std::pair(1, Schedule::Ring),
                                   {2, Schedule::Ring},
                                   {1, Schedule::AllGather},
                                   {2, Schedule::AllGather}}) {
    constexpr int world = 4;
    DeviceAttentionRing ring(with(schedule), world, fakeWorld(devices));
    RingInputs whole(options, 2, 53, 53);
    RankTensors tensors(options, world, whole, ofRanks(ring, world));
    CudaStream stream(ring.deviceOf(0).device);
    auto both = [&] {
      ring.forward(stream, tensors.shape(), tensors.forwards);
      ring.backward(stream, tensors.shape(), tensors.backwards);
    };
    both();
    size_t first = fake().calls.size();
    both();
    std::vector<std::string> calls = callsSince(first);
    for (const char *never :
         {"cuMemAlloc", "cuMemFree", "cuStreamSynchronize", "cuEventSynchronize", "cuStreamQuery",
          "cuEventQuery", "cuEventCreate", "cuStreamCreate", "cuModuleLoadDataEx"})
      CHECK_MESSAGE(!has(calls, never), never);
    stream.synchronize();
    Expected(whole, world, with(schedule)).check(tensors);
  }
}

TEST_CASE("the next block is on its way before the kernel of this one") {
  DeviceAttentionRing ring({.headDim = 32}, 2, fakeWorld());
  RingInputs whole({.headDim = 32}, 1, 40, 40);
  RankTensors tensors({.headDim = 32}, 2, whole, ofRanks(ring, 2));
  CudaStream stream(ring.deviceOf(0).device);
  ring.prepare(Pass::Forward, tensors.shape(), tensors.inputs());
  size_t first = fake().calls.size();
  ring.forward(stream, tensors.shape(), tensors.forwards);
  std::vector<std::string> calls = callsSince(first), heavy;
  for (const std::string &call : calls)
    if (call == "cuMemcpyDtoDAsync" || call == "cuLaunchKernelEx")
      heavy.push_back(call);
  // K and V of both ranks, one launch each for the own block, one each for the other's.
  CHECK(heavy == std::vector<std::string>{"cuMemcpyDtoDAsync", "cuMemcpyDtoDAsync",
                                          "cuMemcpyDtoDAsync", "cuMemcpyDtoDAsync",
                                          "cuLaunchKernelEx", "cuLaunchKernelEx",
                                          "cuLaunchKernelEx", "cuLaunchKernelEx"});
  stream.synchronize();
}

TEST_CASE("all blocks of an all-gather are on their way before the first kernel") {
  AttentionOptions gathers{.headDim = 32, .schedule = Schedule::AllGather};
  DeviceAttentionRing ring(gathers, 3, fakeWorld());
  RingInputs whole(gathers, 1, 60, 60);
  RankTensors tensors(gathers, 3, whole, ofRanks(ring, 3));
  CudaStream stream(ring.deviceOf(0).device);
  ring.prepare(Pass::Forward, tensors.shape(), tensors.inputs());
  size_t first = fake().calls.size();
  ring.forward(stream, tensors.shape(), tensors.forwards);
  std::vector<std::string> heavy = callsSince(first);
  std::erase_if(heavy, [](const std::string &call) {
    return call != "cuMemcpyDtoDAsync" && call != "cuLaunchKernelEx";
  });
  // K and V of three ranks, each to two others; then three launches each.
  REQUIRE(heavy.size() == 12 + 9);
  CHECK(std::count(heavy.begin(), heavy.begin() + 12, "cuMemcpyDtoDAsync") == 12);
  CHECK(std::count(heavy.begin() + 12, heavy.end(), "cuLaunchKernelEx") == 9);
  stream.synchronize();
}

TEST_CASE("a pass is captured in a graph, and replayed on other numbers") {
  for (auto [devices, schedule] :
       {std::pair(1, Schedule::Ring), {3, Schedule::Ring}, {3, Schedule::AllGather}}) {
    constexpr int world = 5;
    DeviceAttentionRing ring(with(schedule), world, fakeWorld(devices));
    RingInputs whole(options, 1, 47, 47);
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
      Expected(whole, world, with(schedule)).check(tensors);
    }
  }
}

TEST_CASE(
    "tensors with gaps: K and V are gathered before they are sent, results go to their places") {
  for (auto [world, schedule] :
       {std::pair(1, Schedule::Ring), {3, Schedule::Ring}, {3, Schedule::AllGather}}) {
    DeviceAttentionRing ring(with(schedule), world, fakeWorld(2));
    RingInputs whole(options, 2, 37, 37);
    RankTensors tensors(options, world, whole, ofRanks(ring, world), RankTensors::Layout::Packed);
    CudaStream stream(ring.deviceOf(0).device);
    ring.forward(stream, tensors.shape(), tensors.forwards);
    ring.backward(stream, tensors.shape(), tensors.backwards);
    stream.synchronize();
    Expected(whole, world, with(schedule)).check(tensors);
  }
}

TEST_CASE("the tests' driver finds an order that nothing enforces") {
  fakeWorld();
  auto device = fakeDevice(0).device;
  bool wrong = false;
  for (unsigned seed = 1; seed < 20 && !wrong; ++seed) {
    fake().seed = seed;
    CudaStream first(device), second(device);
    DeviceMemory memory(device, 4);
    first.clear(memory.data(), 4);
    second.fill(memory.data(), 7, 1); // after the other stream's, one would hope
    uint32_t got = 0;
    first.synchronize();
    second.synchronize();
    second.download(&got, memory.data(), 4);
    second.synchronize();
    wrong = got != 7;
  }
  CHECK(wrong);
}

TEST_CASE("what a stream's attention refuses") {
  std::vector<DeviceContext> world = fakeWorld(2);
  CHECK(messageOf([&] { DeviceAttentionRing(options, 2, {}); }) ==
        "devices: got none, allowed: one or more");
  CHECK(messageOf([&] { DeviceAttentionRing(options, 2, {world[0], world[0]}); }) ==
        "devices: got device 0 (Imaginary GPU) twice, allowed: each once: several ranks share one");
  DeviceAttentionRing ring(options, 1, {world[0]});
  auto repeated = [](int64_t heads) { // one row, in 65536 batch entries
    return Tensor(nullptr, DType::BF16, std::array<int64_t, 4>{65536, 4, heads, 32},
                  std::array<int64_t, 4>{0, 0, 0, 1});
  };
  std::array<AttentionInputs, 1> wide = {{{.q = repeated(4), .k = repeated(2), .v = repeated(2)}}};
  CHECK(messageOf([&] { ring.prepare(Pass::Forward, {65536, 4, 4}, wide); }) ==
        "batch entries of a rank: got 65536, allowed: at most 65535 on a GPU");
  RingInputs whole(options, 1, 16, 16);
  RankTensors tensors(options, 1, whole, ofRanks(ring, 1));
  CudaStream stream(ring.deviceOf(0).device);
  tensors.forwards[0].inputs.q = tensors.forwards[0].inputs.q.permute({0, 3, 2, 1});
  CHECK_THROWS_AS(ring.forward(stream, tensors.shape(), tensors.forwards), InputError);
  tensors.forwards[0].inputs = tensors.backwards[0].inputs;
  DeviceTensor bias(world[0].device, DType::BF16, std::array<int64_t, 4>{1, 1, 16, 16});
  tensors.forwards[0].inputs.bias = bias;
  CHECK(messageOf([&] { ring.forward(stream, tensors.shape(), tensors.forwards); }) ==
        "argument bias.bias: got bf16[1, 1, 16, 16], allowed: f32, on a device");
}

TEST_CASE_TEMPLATE("ranks over NCCL, or in threads, give the host's bits", World, NcclWorld,
                   ThreadWorld) {
  for (auto [world, schedule] : {std::pair(1, Schedule::Ring),
                                 {2, Schedule::Ring},
                                 {3, Schedule::Ring},
                                 {2, Schedule::AllGather},
                                 {3, Schedule::AllGather}}) {
    World ranks(world);
    RingInputs whole(options, 2, 41, 41);
    RankTensors tensors(options, world, whole, ranks.devices);
    auto errors = ranks.run([&, schedule = schedule](int rank, RemoteTransport &transport) {
      DeviceAttentionRank attention(with(schedule), transport, ranks.devices[size_t(rank)]);
      CudaStream stream(ranks.devices[size_t(rank)].device);
      RankForward &forward = tensors.forwards[size_t(rank)];
      RankBackward &backward = tensors.backwards[size_t(rank)];
      for (int again = 0; again < 2; ++again) {
        attention.forward(stream, tensors.shape(), forward.inputs, forward.results);
        attention.backward(stream, tensors.shape(), backward.inputs, backward.results,
                           backward.dout, backward.gradients);
      }
      attention.wait(stream);
    });
    CHECK(errors == std::vector<std::string>(size_t(world), "nothing thrown"));
    Expected(whole, world, with(schedule)).check(tensors);
  }
}

TEST_CASE_TEMPLATE("ranks over NCCL, or in threads, choose one schedule for a shape", World,
                   NcclWorld, ThreadWorld) {
  World ranks(3);
  AttentionOptions any = options;
  any.schedule = {};
  RingInputs whole(any, 2, 41, 41);
  RankTensors tensors(any, 3, whole, ranks.devices);
  std::vector<std::optional<Schedule>> chosen(3);
  auto errors = ranks.run([&](int rank, RemoteTransport &transport) {
    DeviceAttentionRank attention(any, transport, ranks.devices[size_t(rank)]);
    CudaStream stream(ranks.devices[size_t(rank)].device);
    RankForward &forward = tensors.forwards[size_t(rank)];
    attention.forward(stream, tensors.shape(), forward.inputs, forward.results);
    attention.wait(stream);
    chosen[size_t(rank)] =
        attention.plans(Pass::Forward, tensors.shape(), forward.inputs)[0].problem.schedule;
  });
  CHECK(errors == std::vector<std::string>(3, "nothing thrown"));
  CHECK(chosen[0].has_value());
  CHECK(chosen == std::vector(3, chosen[0]));
}

TEST_CASE(
    "the ranks of a DeviceAttentionRing have one caller, whose inputs are compared all the same") {
  AttentionOptions counted = options;
  counted.masks = {{"own.tile", "near",
                    "mask near(b: index, h: index, i: index, j: index, reach: i32) "
                    "{ return i - j < reach }"}};
  DeviceAttentionRing ring(counted, 2, fakeWorld());
  RingInputs whole(options, 1, 24, 24);
  RankTensors tensors(options, 2, whole, ofRanks(ring, 2));
  std::vector<AttentionInputs> inputs = tensors.inputs();
  inputs[0].arguments["reach"] = int64_t(5);
  inputs[1].arguments["reach"] = int64_t(5);
  CHECK_NOTHROW(ring.prepare(Pass::Forward, tensors.shape(), inputs));
  inputs[1].arguments["reach"] = int64_t(6);
  CHECK(messageOf([&] { ring.prepare(Pass::Forward, tensors.shape(), inputs); }) ==
        "rank 1: hop 0, plans, peer 0: the ranks do not agree: argument near.reach: 5 on rank 0, 6 "
        "on rank 1");
}

TEST_CASE("a workspace of the user's") {
  NcclWorld nccl(1);
  RingInputs whole(options, 1, 24, 24);
  RankTensors tensors(options, 1, whole, nccl.devices);
  auto errors = nccl.run([&](int, NcclTransport &transport) {
    DeviceAttentionRank attention(options, transport, nccl.devices[0]);
    CudaStream stream(nccl.devices[0].device);
    const RankBackward &rank = tensors.backwards[0];
    int64_t bytes = attention.workspaceBytes(Pass::Backward, tensors.shape(), rank.inputs);
    CHECK(bytes > 0);
    DeviceMemory memory(nccl.devices[0].device, bytes + 256);
    auto *start = static_cast<std::byte *>(memory.data());
    auto run = [&](std::span<std::byte> workspace) {
      attention.forward(stream, tensors.shape(), rank.inputs, rank.results);
      attention.backward(stream, tensors.shape(), rank.inputs, rank.results, rank.dout,
                         rank.gradients, workspace);
    };
    run({start, size_t(bytes)});
    attention.wait(stream);
    CHECK(messageOf([&] { run({start, size_t(bytes - 1)}); }) ==
          "workspace: got " + std::to_string(bytes - 1) +
              " bytes, allowed: " + std::to_string(bytes) + " or more");
  });
  CHECK(errors[0] == "nothing thrown");
  Expected(whole, 1).check(tensors);
}
