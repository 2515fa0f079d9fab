// Decoding in the order of streams, on the tests' own driver and NCCL: what is given to them, and
// that any order that events let gives the right results.

#include "ringc/decode/DeviceDecodeRing.h"
#include "ringc/decode/TreeAttnDecode.h"
#include "tests/gpu/FakeNcclWorld.h"
#include "tests/gpu/PlacedDecode.h"
#include "tests/support/ReferenceAttention.h"
#include "tools/ringc/RandomProblem.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

using namespace ringc;
using namespace ringc::test;

namespace {

cli::DecodeCase caseOf(int ranks, int64_t page) {
  return {.options = {{.heads = 4,
                       .kvHeads = 2,
                       .headDim = 32,
                       .dtype = page == 16 ? DType::BF16 : DType::F32,
                       .causal = true,
                       .alibi = page == 7}},
          .queries = 2,
          .rows = 300,
          .lengths = {300, 0, 5, 170},
          .ranks = ranks,
          .page = page};
}
cli::DecodeCase shorter(cli::DecodeCase given) {
  given.lengths = {12, 299, 0, 100};
  return given;
}

std::deque<PlacedDecode> placed(const DecodeProblem &problem, int ranks,
                                const DeviceDecodeRing &ring) {
  std::deque<PlacedDecode> all;
  for (int rank = 0; rank < ranks; ++rank)
    all.emplace_back(problem, rank, ring.deviceOf(rank));
  return all;
}
std::vector<RankDecode> callsOf(const std::deque<PlacedDecode> &all) {
  std::vector<RankDecode> calls;
  for (const PlacedDecode &each : all)
    calls.push_back(each.call);
  return calls;
}

/// Whether what was called since `first` neither allocates nor waits.
void checkSteady(size_t first) {
  for (size_t at = first; at < fake().calls.size(); ++at) {
    std::string name = fake().calls[at].substr(0, fake().calls[at].find(' '));
    for (std::string_view never :
         {"cuMemAlloc", "cuMemFree", "cuMemAllocHost", "cuStreamSynchronize", "cuEventSynchronize",
          "cuEventCreate", "cuStreamCreate", "cuModuleLoadDataEx"})
      CHECK(name != never);
  }
}

} // namespace

TEST_CASE("a decode alone: no memory, no waiting, and a graph whose lengths change") {
  for (int64_t page : {0, 16, 7}) {
    DeviceContext device = fakeWorld().front();
    DecodeProblem problem(caseOf(1, page), 1), other(shorter(caseOf(1, page)), 2);
    PlacedDecode tensors(problem, 0, device);
    CudaStream stream(device.device);
    DeviceDecode decode(problem.options(), device);
    const auto &[inputs, keys, out, lse] = tensors.call;
    decode.run(stream, inputs, out, lse);
    stream.synchronize();
    CHECK(tensors.isRight());
    size_t first = fake().calls.size();
    decode.run(stream, inputs, out, lse);
    checkSteady(first);
    CudaGraph graph = stream.capture([&] { decode.run(stream, inputs, out, lse); });
    for (const DecodeProblem *each : {&other, &problem}) {
      tensors.refill(*each);
      graph.launch(stream);
      stream.synchronize();
      CHECK(tensors.isRight());
    }
  }
}

TEST_CASE("calls with other tensors take turns, and neither is prepared again") {
  DeviceContext device = fakeWorld().front();
  DecodeProblem one(caseOf(1, 0), 1), two(shorter(caseOf(1, 0)), 2);
  PlacedDecode first(one, 0, device), second(two, 0, device);
  CudaStream stream(device.device);
  DeviceDecode decode(one.options(), device);
  size_t begun = 0;
  for (int again = 0; again < 3; ++again) {
    for (PlacedDecode *each : {&first, &second})
      decode.run(stream, each->call.inputs, each->call.out, each->call.lse);
    if (again > 0)
      checkSteady(begun);
    begun = fake().calls.size();
  }
  stream.synchronize();
  CHECK(first.isRight());
  CHECK(second.isRight());
}

TEST_CASE("ranks of one process decode together, on any number of devices, in a graph too") {
  for (auto [ranks, devices] : {std::pair(1, 1), {2, 1}, {3, 2}, {5, 3}})
    for (int64_t page : {0, 16, 7}) {
      CAPTURE(ranks);
      CAPTURE(page);
      DecodeProblem problem(caseOf(ranks, page), unsigned(ranks)),
          other(shorter(caseOf(ranks, page)), 77);
      DeviceDecodeRing ring(problem.options(), ranks, fakeWorld(devices));
      auto tensors = placed(problem, ranks, ring);
      std::vector<RankDecode> calls = callsOf(tensors);
      CudaStream stream(ring.deviceOf(0).device);
      auto areRight = [&] {
        stream.synchronize();
        return std::ranges::all_of(tensors, &PlacedDecode::isRight);
      };
      ring.run(stream, calls);
      CHECK(areRight());
      ring.run(stream, calls); // makes the last events
      size_t first = fake().calls.size();
      ring.run(stream, calls);
      checkSteady(first);
      CHECK(areRight());
      CudaGraph graph = stream.capture([&] { ring.run(stream, calls); });
      for (const DecodeProblem *each : {&other, &problem}) {
        for (PlacedDecode &rank : tensors)
          rank.refill(*each);
        graph.launch(stream);
        CHECK(areRight());
      }
    }
}

TEST_CASE("ranks of one process send each other one message a step") {
  DecodeProblem problem(caseOf(3, 16), 1);
  DeviceDecodeRing ring(problem.options(), 3, fakeWorld());
  auto tensors = placed(problem, 3, ring);
  CudaStream stream(ring.deviceOf(0).device);
  std::vector<RankDecode> calls = callsOf(tensors);
  ring.run(stream, calls);
  size_t first = fake().calls.size();
  ring.run(stream, calls);
  // out and lse in f32: 4 entries, 2 queries, 4 heads, 33 numbers.
  CHECK(std::count(fake().calls.begin() + int64_t(first), fake().calls.end(),
                   "cuMemcpyDtoDAsync " + std::to_string(4 * 2 * 4 * 33 * 4)) == 6);
  CHECK(std::count_if(fake().calls.begin() + int64_t(first), fake().calls.end(),
                      [](const std::string &call) { return call.starts_with("cuMemcpy"); }) == 6);
  stream.synchronize();
}

TEST_CASE("ranks of one process whose calls do not go together") {
  DecodeProblem problem(caseOf(2, 16), 1);
  DeviceDecodeRing ring(problem.options(), 2, fakeWorld());
  auto tensors = placed(problem, 2, ring);
  CudaStream stream(ring.deviceOf(0).device);
  std::vector<RankDecode> calls = callsOf(tensors), wrong = calls;
  auto entriesFrom = [](Tensor &tensor, int axis) { tensor = tensor.slice(axis, 0, 1); };
  entriesFrom(wrong[1].inputs.q, 1);
  entriesFrom(wrong[1].out, 1);
  entriesFrom(wrong[1].lse, 2);
  CHECK(messageOf([&] { ring.run(stream, wrong); }) ==
        "rank 1: hop 0, plans, peer 0: the ranks do not agree: queries: 2 on rank 0, 1 on rank 1");
  CHECK(messageOf([&] { ring.run(stream, std::span(calls).first(1)); }) ==
        "ranks: got 1, allowed: 2, one a rank");
  ring.run(stream, calls);
  stream.synchronize();
  CHECK(std::ranges::all_of(tensors, &PlacedDecode::isRight));
}

TEST_CASE("ranks over NCCL decode together, in a graph too") {
  for (int ranks : {1, 2, 3})
    for (int64_t page : {0, 16}) {
      NcclWorld nccl(ranks);
      DecodeProblem problem(caseOf(ranks, page), 5), other(shorter(caseOf(ranks, page)), 6);
      auto errors = nccl.run([&](int rank, NcclTransport &transport) {
        const DeviceContext &device = nccl.devices[size_t(rank)];
        PlacedDecode tensors(problem, rank, device);
        CudaStream stream(device.device);
        DeviceDecode decode(problem.options(), device);
        auto run = [&] {
          const auto &[inputs, keys, out, lse] = tensors.call;
          decode.run(stream, inputs, keys, transport, out, lse);
        };
        auto expectRight = [&](const char *when) {
          transport.wait(stream);
          if (!tensors.isRight())
            throw std::runtime_error(std::string("wrong ") + when);
        };
        for (int again = 0; again < 3; ++again)
          run();
        expectRight("at once");
        CudaGraph graph = stream.capture(run);
        for (const DecodeProblem *each : {&other, &problem}) {
          tensors.refill(*each);
          for (int again = 0; again < 2; ++again)
            graph.launch(stream);
          expectRight("in a graph");
        }
      });
      for (const std::string &error : errors)
        CHECK(error == "nothing thrown");
    }
}

TEST_CASE("ranks over NCCL that make other calls") {
  NcclWorld nccl(3);
  DecodeProblem problem(caseOf(3, 16), 5);
  auto errors = nccl.run([&](int rank, NcclTransport &transport) {
    const DeviceContext &device = nccl.devices[size_t(rank)];
    PlacedDecode tensors(problem, rank, device);
    CudaStream stream(device.device);
    DecodeOptions options = problem.options();
    if (rank == 1)
      options.split = 64;
    DeviceDecode decode(options, device), right(problem.options(), device);
    const auto &[inputs, keys, out, lse] = tensors.call;
    std::string said = messageOf([&] { decode.run(stream, inputs, keys, transport, out, lse); });
    right.run(stream, inputs, keys, transport, out, lse); // nothing was sent: it goes on
    transport.wait(stream);
    throw std::runtime_error(tensors.isRight() ? said : "wrong");
  });
  for (int rank = 0; rank < 3; ++rank)
    CHECK(errors[size_t(rank)] == "rank " + std::to_string(rank) + ": hop 0, plans, peer " +
                                      (rank == 1 ? "0" : "1") +
                                      ": the ranks do not agree: split: 0 on rank 0, 64 on rank 1");
}

TEST_CASE("ranks over NCCL that have compared two calls and then make different ones") {
  NcclWorld nccl(2);
  DecodeProblem problem(caseOf(2, 0), 5);
  auto errors = nccl.run([&](int rank, NcclTransport &transport) {
    const DeviceContext &device = nccl.devices[size_t(rank)];
    PlacedDecode tensors(problem, rank, device);
    CudaStream stream(device.device);
    DecodeOptions whole = problem.options(), cut = whole;
    cut.split = 64;
    DeviceDecode one(whole, device), two(cut, device);
    const auto &[inputs, keys, out, lse] = tensors.call;
    for (DeviceDecode *each : {&one, &two})
      each->run(stream, inputs, keys, transport, out, lse);
    transport.wait(stream);
    (rank == 0 ? one : two).run(stream, inputs, keys, transport, out, lse);
    transport.wait(stream);
  });
  CHECK(std::ranges::any_of(errors, [](const std::string &error) {
    return error.find(": the ranks do not agree: it was in another call") != std::string::npos;
  }));
  for (int rank = 0; rank < 2; ++rank)
    CHECK(errors[size_t(rank)].starts_with("rank " + std::to_string(rank) + ": hop "));
}

TEST_CASE("a rank over NCCL whose inputs cannot be ends the call on all") {
  NcclWorld nccl(2);
  DecodeProblem problem(caseOf(2, 0), 5);
  auto errors = nccl.run([&](int rank, NcclTransport &transport) {
    const DeviceContext &device = nccl.devices[size_t(rank)];
    PlacedDecode tensors(problem, rank, device);
    CudaStream stream(device.device);
    DeviceDecode decode(problem.options(), device);
    auto [inputs, keys, out, lse] = tensors.call;
    if (rank == 1)
      lse = lse.slice(2, 0, 1);
    decode.run(stream, inputs, keys, transport, out, lse);
    transport.wait(stream);
  });
  CHECK(errors[0].starts_with("rank 0: hop "));
  CHECK(errors[1] == "lse: got f32[4, 4, 1], allowed: f32 [4, 4, 2]: batch, heads, queries");
}

TEST_CASE("tree_attn_decode on devices: whole keys and shards") {
  constexpr int64_t heads = 4, rows = 70, dim = 32;
  std::mt19937_64 random(3);
  HostTensor q = cli::randomTensor(DType::F32, {1, heads, 1, dim}, random),
             k = cli::randomTensor(DType::F32, {1, 2, rows, dim}, random),
             v = cli::randomTensor(DType::F32, {1, 2, rows, dim}, random);
  auto byRows = [](const Tensor &tensor) {
    return reference::arrayOf(tensor.permute({0, 2, 1, 3}));
  };
  reference::Problem problem;
  problem.q = byRows(q);
  problem.k = byRows(k);
  problem.v = byRows(v);
  reference::Result right = reference::attention(problem);
  DecodeOptions options{{.heads = heads, .kvHeads = 2, .headDim = dim}};
  auto inputsOf = [&](TreeKeys keys, int rank) {
    TreeInputs inputs{.q = q, .k = k, .v = v, .keys = keys}; // the fake's memory is the host's
    int64_t begin = rank == 0 ? 0 : 20, count = rank == 0 ? 20 : rank == 1 ? 50 : 0;
    if (keys == TreeKeys::Shard) {
      inputs.k = k.view().slice(2, begin, count);
      inputs.v = v.view().slice(2, begin, count);
    }
    return inputs;
  };
  for (TreeKeys keys : {TreeKeys::Whole, TreeKeys::Shard}) {
    NcclWorld nccl(3);
    auto errors = nccl.run([&](int rank, NcclTransport &transport) {
      const DeviceContext &device = nccl.devices[size_t(rank)];
      HostTensor out(DType::F32, {1, heads, 1, dim}), lse(DType::F32, {1, heads, 1});
      CudaStream stream(device.device);
      DeviceDecode decode(options, device);
      treeAttnDecode(decode, stream, inputsOf(keys, rank), transport, out, lse);
      transport.wait(stream);
      if (reference::relativeError(byRows(out), right.out) > 2e-5)
        throw std::runtime_error("wrong");
    });
    CHECK(errors == std::vector<std::string>(3, "nothing thrown"));
    DeviceDecodeRing ring(options, 3, fakeWorld(2));
    std::deque<HostTensor> outs, lses;
    std::vector<RankDecode> calls;
    for (int rank = 0; rank < 3; ++rank)
      calls.push_back(
          treeAttnDecodeOf(inputsOf(keys, rank), rank, 3,
                           outs.emplace_back(DType::F32, std::vector<int64_t>{1, heads, 1, dim}),
                           lses.emplace_back(DType::F32, std::vector<int64_t>{1, heads, 1})));
    CudaStream stream(ring.deviceOf(0).device);
    ring.run(stream, calls);
    stream.synchronize();
    for (const HostTensor &out : outs)
      CHECK(reference::relativeError(byRows(out), right.out) < 2e-5);
  }
}

TEST_CASE("an empty batch on devices") {
  for (int ranks : {1, 3}) {
    cli::DecodeCase empty = caseOf(ranks, 0);
    empty.lengths = {};
    DecodeProblem problem(empty, 1);
    DeviceDecodeRing ring(problem.options(), ranks, fakeWorld(2));
    auto tensors = placed(problem, ranks, ring);
    CudaStream stream(ring.deviceOf(0).device);
    CHECK_NOTHROW(ring.run(stream, callsOf(tensors)));
    stream.synchronize();
  }
}
