// Ranks over NCCL, and in threads, that do not agree, on the tests' own driver and NCCL.

#include "ringc/attention/DeviceAttentionRank.h"
#include "tests/gpu/FakeThreadWorld.h"
#include "tests/gpu/RankTensors.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <string>

using namespace ringc;
using namespace ringc::test;

namespace {

const AttentionOptions options{.heads = 4,
                               .kvHeads = 2,
                               .headDim = 32,
                               .dtype = DType::BF16,
                               .causal = true,
                               .layout = SequenceLayout::zigzag(),
                               .schedule = Schedule::Ring};

} // namespace

TEST_CASE_TEMPLATE(
    "a shape that another rank does not have is an error of all, before anything is sent", World,
    NcclWorld, ThreadWorld) {
  World ranks(3);
  RingInputs whole(options, 2, 41, 41);
  RankTensors tensors(options, 3, whole, ranks.devices);
  auto errors = ranks.run([&](int rank, RemoteTransport &transport) {
    DeviceAttentionRank attention(options, transport, ranks.devices[size_t(rank)]);
    AttentionShape shape = tensors.shape();
    AttentionInputs inputs = tensors.forwards[size_t(rank)].inputs;
    if (rank == 2) {
      shape.batch = 1;
      for (Tensor *each : {&inputs.q, &inputs.k, &inputs.v})
        *each = each->slice(0, 0, 1);
    }
    CHECK_THROWS_AS(attention.prepare(Pass::Forward, shape, inputs), PeerError);
    attention.prepare(Pass::Forward, shape, inputs); // is compared again
  });
  for (int rank = 0; rank < 3; ++rank)
    CHECK(errors[size_t(rank)] ==
          "rank " + std::to_string(rank) + ": hop 0, plans, peer " + (rank == 2 ? "0" : "2") +
              ": the ranks do not agree: entries in the batch: 2 on rank 0, 1 on rank 2");
}

TEST_CASE_TEMPLATE("a schedule that another rank does not have is an error of all", World,
                   NcclWorld, ThreadWorld) {
  World ranks(2);
  RingInputs whole(options, 2, 41, 41);
  RankTensors tensors(options, 2, whole, ranks.devices);
  auto errors = ranks.run([&](int rank, RemoteTransport &transport) {
    AttentionOptions own = options;
    own.schedule = rank == 0 ? Schedule::Ring : Schedule::AllGather;
    DeviceAttentionRank attention(own, transport, ranks.devices[size_t(rank)]);
    attention.prepare(Pass::Forward, tensors.shape(), tensors.forwards[size_t(rank)].inputs);
  });
  for (int rank = 0; rank < 2; ++rank)
    CHECK(errors[size_t(rank)] ==
          "rank " + std::to_string(rank) + ": hop 0, plans, peer " + std::to_string(1 - rank) +
              ": the ranks do not agree: schedule: ring on rank 0, all-gather on rank 1");
}

TEST_CASE_TEMPLATE("whatever another rank does not have is named on all, and nothing was sent",
                   World, NcclWorld, ThreadWorld) {
  auto differ = [](const std::function<void(AttentionOptions &, AttentionInputs &)> &change) {
    World ranks(3);
    RingInputs whole(options, 2, 41, 41);
    RankTensors tensors(options, 3, whole, ranks.devices);
    auto errors = ranks.run([&](int rank, RemoteTransport &transport) {
      AttentionOptions own = options;
      RankForward forward = tensors.forwards[size_t(rank)];
      if (rank == 1)
        change(own, forward.inputs);
      DeviceAttentionRank attention(own, transport, ranks.devices[size_t(rank)]);
      CudaStream stream(ranks.devices[size_t(rank)].device);
      attention.forward(stream, tensors.shape(), forward.inputs, forward.results);
      attention.wait(stream);
    });
    std::string said;
    for (int rank = 0; rank < 3; ++rank) {
      std::string begin = "rank " + std::to_string(rank) + ": hop 0, plans, peer " +
                          (rank == 1 ? "0" : "1") + ": the ranks do not agree: ";
      CHECK(errors[size_t(rank)].starts_with(begin));
      CHECK((said.empty() || errors[size_t(rank)].ends_with(said)));
      said = errors[size_t(rank)].substr(std::min(begin.size(), errors[size_t(rank)].size()));
    }
    return said;
  };
  CHECK(differ([](auto &own, auto &) { own.window = {5, -1}; }) ==
        "window: -1,-1 on rank 0, 5,-1 on rank 1");
  CHECK(differ([](auto &own, auto &) { own.scale = 0.5; }).ends_with(" on rank 0, 0.5 on rank 1"));
  CHECK(differ([](auto &own, auto &) { own.f32Products = F32Products::Tf32; }) ==
        "f32: 3xtf32 on rank 0, tf32 on rank 1");
  CHECK(differ([](auto &own, auto &) { own.softcap = 3; }) ==
        "softcap: none on rank 0, 3 on rank 1");
  CHECK(differ([](auto &own, auto &) {
          own.masks = {{"own.tile", "all",
                        "mask all(b: index, h: index, i: index, j: index) { return true }"}};
        }) == "masks: none on rank 0, all on rank 1");
}

TEST_CASE_TEMPLATE(
    "ranks that prepared the same and then call different passes learn it when they wait", World,
    NcclWorld, ThreadWorld) {
  World ranks(3);
  AttentionOptions narrow = options;
  narrow.window = {5, 5};
  RingInputs whole(options, 2, 41, 41);
  RankTensors tensors(options, 3, whole, ranks.devices);
  auto errors = ranks.run([&](int rank, RemoteTransport &transport) {
    DeviceAttentionRank wide(options, transport, ranks.devices[size_t(rank)]),
        other(narrow, transport, ranks.devices[size_t(rank)]);
    CudaStream stream(ranks.devices[size_t(rank)].device);
    RankForward &forward = tensors.forwards[size_t(rank)];
    for (DeviceAttentionRank *each : {&wide, &other})
      for (int again = 0; again < 300; ++again) // more than are remembered
        each->forward(stream, tensors.shape(), forward.inputs, forward.results);
    wide.wait(stream);
    DeviceAttentionRank &called = rank == 1 ? other : wide;
    called.forward(stream, tensors.shape(), forward.inputs, forward.results);
    called.wait(stream);
  });
  for (int rank = 0; rank < 3; ++rank)
    CHECK(errors[size_t(rank)].starts_with("rank " + std::to_string(rank) + ": hop "));
  // Who finds it first gives up the ring, which the others may hear of instead.
  CHECK(std::ranges::any_of(errors, [](const std::string &error) {
    return error.find(": the ranks do not agree: it was in another call") != std::string::npos;
  }));
}

TEST_CASE("a rank that compares finds one that goes on with what it has prepared") {
  NcclWorld nccl(2);
  RingInputs whole(options, 2, 41, 41), shorter(options, 1, 41, 41);
  RankTensors tensors(options, 2, whole, nccl.devices), others(options, 2, shorter, nccl.devices);
  auto errors = nccl.run([&](int rank, NcclTransport &transport) {
    DeviceAttentionRank attention(options, transport, nccl.devices[size_t(rank)]);
    CudaStream stream(nccl.devices[size_t(rank)].device);
    auto run = [&](RankTensors &of) {
      RankForward &forward = of.forwards[size_t(rank)];
      attention.forward(stream, of.shape(), forward.inputs, forward.results);
    };
    run(tensors);
    attention.wait(stream);
    run(rank == 1 ? others : tensors);
    attention.wait(stream);
  });
  CHECK(errors[0].starts_with("rank 0: hop ")); // by the deadline
  CHECK(errors[1] == "rank 1: hop 0, plans, peer 0: it is in the middle of another call, or runs "
                     "another version of ringc");
}
