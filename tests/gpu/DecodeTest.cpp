// Decoding on a device beside the host's, which is tested against double precision; steps in
// graphs, ranks in one process, and caches against double precision themselves.

#include "ringc/decode/DeviceDecodeRing.h"
#include "ringc/decode/TreeAttnDecode.h"

#include "ringc/Env.h"
#include "ringc/attention/device/DeviceTensor.h"
#include "ringc/driver/CudaStream.h"
#include "ringc/jit/DeviceCompiler.h"
#include "ringc/jit/HostCompiler.h"
#include "tests/gpu/CachedSequences.h"
#include "tests/gpu/PlacedDecode.h"
#include "tests/support/ReferenceAttention.h"
#include "tools/ringc/RandomProblem.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

using namespace ringc;
using namespace ringc::test;

namespace {

cli::DecodeCase caseOf(DType dtype, int64_t page, int ranks) {
  return {.options = {{.heads = 8,
                       .kvHeads = 2,
                       .headDim = 128,
                       .dtype = dtype,
                       .causal = true,
                       .alibi = page == 7}},
          .queries = 2,
          .rows = 3000,
          .lengths = {3000, 0, 5, 1700},
          .ranks = ranks,
          .page = page};
}
cli::DecodeCase shorter(cli::DecodeCase given) {
  given.lengths = {12, 2999, 0, 1000};
  return given;
}

HostTensor home(const CudaStream &stream, const Tensor &from) {
  HostTensor made(from.dtype(), from.shape());
  stream.download(made.data(), from.data(), made.byteCount());
  stream.synchronize();
  return made;
}

bool sameBits(const HostTensor &a, const HostTensor &b) {
  return std::memcmp(a.data(), b.data(), size_t(a.byteCount())) == 0;
}

} // namespace

TEST_CASE("a captured decode on a device, whose lengths change between replays") {
  DeviceContext device = deviceContext(0);
  CudaStream stream(device.device);
  for (DType dtype : {DType::BF16, DType::F32})
    for (int64_t page : {0, 64, 16, 7}) {
      CAPTURE(nameOf(dtype));
      CAPTURE(page);
      DecodeProblem problem(caseOf(dtype, page, 1), 1), other(shorter(caseOf(dtype, page, 1)), 2);
      PlacedDecode tensors(problem, 0, device);
      DeviceDecode decode(problem.options(), device);
      const auto &[inputs, keys, out, lse] = tensors.call;
      decode.run(stream, inputs, out, lse);
      stream.synchronize();
      CHECK(tensors.isRight());
      CudaGraph graph = stream.capture([&] { decode.run(stream, inputs, out, lse); });
      for (const DecodeProblem *each : {&other, &problem}) {
        tensors.refill(*each);
        for (int again = 0; again < 3; ++again)
          graph.launch(stream);
        stream.synchronize();
        CHECK(tensors.isRight());
      }
    }
}

TEST_CASE("ranks that share a device, and all devices, decode together, in a graph too") {
  int count = CudaDriver::open(Env::read().cudaLibrary)->deviceCount();
  for (int devices : count > 1 ? std::vector{1, count} : std::vector{1})
    for (int ranks : {2, 5})
      for (DType dtype : {DType::BF16, DType::F32})
        for (int64_t page : {0, 64, 16}) {
          CAPTURE(devices);
          CAPTURE(ranks);
          CAPTURE(nameOf(dtype));
          CAPTURE(page);
          std::vector<DeviceContext> contexts;
          for (int each = 0; each < std::min(devices, ranks); ++each)
            contexts.push_back(deviceContext(each));
          cli::DecodeCase plain = caseOf(dtype, page, ranks);
          DecodeProblem problem(plain, 3), other(shorter(plain), 4);
          DeviceDecodeRing ring(problem.options(), ranks, contexts);
          std::deque<PlacedDecode> tensors;
          std::vector<RankDecode> calls;
          for (int rank = 0; rank < ranks; ++rank)
            calls.push_back(tensors.emplace_back(problem, rank, ring.deviceOf(rank)).call);
          CudaStream stream(ring.deviceOf(0).device);
          auto areRight = [&] {
            stream.synchronize();
            return std::ranges::all_of(tensors, &PlacedDecode::isRight);
          };
          for (int again = 0; again < 5; ++again)
            ring.run(stream, calls);
          CHECK(areRight());
          CHECK(sameBits(home(stream, calls.front().out), home(stream, calls.back().out)));
          CudaGraph graph = stream.capture([&] { ring.run(stream, calls); });
          for (const DecodeProblem *each : {&other, &problem}) {
            for (PlacedDecode &rank : tensors)
              rank.refill(*each);
            for (int again = 0; again < 3; ++again)
              graph.launch(stream);
            CHECK(areRight());
          }
        }
}

TEST_CASE("tree_attn_decode of ranks that share a device") {
  DeviceContext device = deviceContext(0);
  std::mt19937_64 random(3);
  constexpr int64_t heads = 8, rows = 1000, dim = 64;
  HostTensor q = cli::randomTensor(DType::BF16, {2, heads, 1, dim}, random),
             k = cli::randomTensor(DType::BF16, {2, 2, rows, dim}, random),
             v = cli::randomTensor(DType::BF16, {2, 2, rows, dim}, random);
  auto byRows = [](const Tensor &tensor) {
    return reference::arrayOf(tensor.permute({0, 2, 1, 3}));
  };
  reference::Problem problem;
  problem.q = byRows(q);
  problem.k = byRows(k);
  problem.v = byRows(v);
  reference::Result right = reference::attention(problem);
  CudaStream stream(device.device);
  DeviceTensor ownQ = DeviceTensor::copyOf(stream, q), ownK = DeviceTensor::copyOf(stream, k),
               ownV = DeviceTensor::copyOf(stream, v);
  for (TreeKeys keys : {TreeKeys::Whole, TreeKeys::Shard}) {
    DeviceDecodeRing ring({{.heads = heads, .kvHeads = 2, .headDim = dim, .dtype = DType::BF16}}, 3,
                          {device});
    std::deque<DeviceTensor> results;
    std::vector<RankDecode> calls;
    for (int rank = 0; rank < 3; ++rank) {
      TreeInputs inputs{.q = ownQ, .k = ownK, .v = ownV, .keys = keys};
      if (keys == TreeKeys::Shard) { // the second has none
        int64_t begin = rank == 0 ? 0 : 300, count = rank == 0 ? 300 : rank == 1 ? 0 : 700;
        inputs.k = ownK.view().slice(2, begin, count);
        inputs.v = ownV.view().slice(2, begin, count);
      }
      const Tensor &out = results.emplace_back(device.device, DType::BF16, q.shape());
      const Tensor &lse =
          results.emplace_back(device.device, DType::F32, std::vector<int64_t>{2, heads, 1});
      calls.push_back(treeAttnDecodeOf(inputs, rank, 3, out, lse));
    }
    ring.run(stream, calls);
    for (size_t rank = 0; rank < 3; ++rank)
      CHECK(reference::relativeError(byRows(results[2 * rank].download(stream)), right.out) < 2e-2);
  }
}

TEST_CASE("a cache on a device grows, shares and frees under a captured decode") {
  DeviceContext device = deviceContext(0);
  CudaStream stream(device.device);
  for (int ranks : {1, 2})
    for (DType dtype : {DType::BF16, DType::F32})
      for (int64_t page : {64, 16, 7}) {
        CAPTURE(ranks);
        CAPTURE(nameOf(dtype));
        CAPTURE(page);
        AttentionOptions options{
            .heads = 8, .kvHeads = 2, .headDim = 64, .dtype = dtype, .causal = true};
        DeviceDecodeRing ring({options}, ranks, {device});
        CachedSequences sequences(
            options, {.pages = 200, .pageSize = page, .entries = 3, .pagesOfEntry = 80}, ranks,
            stream, unsigned(page));
        ring.run(stream, sequences.calls());
        CHECK(sequences.areRight());
        CudaGraph graph = stream.capture([&] { ring.run(stream, sequences.calls()); });
        auto step = [&] {
          graph.launch(stream);
          return sequences.areRight();
        };
        sequences.append(0, 5 * page + 3);
        CHECK(step());
        sequences.share(0, 1, 4 * page);
        sequences.append(1, 3);
        sequences.append(0, 1);
        CHECK(step());
        sequences.append(2, 33 * page);
        sequences.free(0);
        CHECK(step());
        sequences.append(0, 300);
        for (int token = 0; token < 20; ++token)
          for (int64_t entry : {0, 1, 2})
            sequences.append(entry, 1);
        CHECK(step());
      }
}

TEST_CASE("a decode on a device is the host's, with pages of any size and any group of heads") {
  DeviceContext device = deviceContext(0);
  AttentionContext host = hostContext();
  CudaStream stream(device.device);
  std::mt19937_64 random(1);
  for (DType dtype : {DType::BF16, DType::F32})
    for (int64_t dim : {64, 80, 128})
      for (int64_t page : {0, 7, 16, 64})
        for (int64_t kvHeads : {1, 4, 8}) {
          CAPTURE(nameOf(dtype));
          CAPTURE(dim);
          CAPTURE(page);
          CAPTURE(kvHeads);
          constexpr int64_t rows = 700, batch = 3, queries = 2;
          AttentionOptions options{.heads = 8,
                                   .kvHeads = kvHeads,
                                   .headDim = dim,
                                   .dtype = dtype,
                                   .causal = true,
                                   .alibi = page == 16};
          int64_t pages = page ? (rows + page - 1) / page : 1, pool = batch * pages;
          auto keys = [&] {
            return page ? cli::randomTensor(dtype, {pool, page, kvHeads, dim}, random)
                        : cli::randomTensor(dtype, {batch, rows, kvHeads, dim}, random);
          };
          HostTensor q = cli::randomTensor(dtype, {batch, queries, 8, dim}, random), k = keys(),
                     v = keys(), table(DType::I32, {batch, pages}), lengths(DType::I32, {batch});
          std::span all(table.dataAs<int32_t>(), size_t(pool));
          std::iota(all.begin(), all.end(), 0);
          std::ranges::shuffle(all, random);
          std::ranges::copy(std::vector<int32_t>{700, 333, 0}, lengths.dataAs<int32_t>());
          for (HostTensor *each : {&k, &v}) // what is not to be seen may hold anything
            for (int64_t entry = 0; page && entry < batch; ++entry)
              for (int64_t row = lengths.dataAs<int32_t>()[entry]; row < pages * page; ++row) {
                Tensor hidden = each->view()
                                    .select(0, all[size_t(entry * pages + row / page)])
                                    .select(0, row % page);
                HostTensor nan(DType::F32, hidden.shape());
                std::fill_n(nan.dataAs<float>(), nan.elementCount(),
                            std::numeric_limits<float>::quiet_NaN());
                convert(nan, hidden);
              }
          HostTensor out(dtype, q.shape()), lse(DType::F32, {batch, 8, queries});
          DecodeInputs inputs{.q = q, .k = k, .v = v, .lengths = lengths.view()};
          if (page)
            inputs.pageTable = table.view();
          HostDecode({options}, host).run(inputs, out, lse);

          std::vector<DeviceTensor> memory;
          memory.reserve(5);
          auto put = [&](const Tensor &tensor) -> Tensor {
            return memory.emplace_back(DeviceTensor::copyOf(stream, tensor)).view();
          };
          DecodeInputs placed{.q = put(q), .k = put(k), .v = put(v), .lengths = put(lengths)};
          if (page)
            placed.pageTable = put(table);
          DeviceTensor ownOut(device.device, dtype, out.shape()),
              ownLse(device.device, DType::F32, lse.shape());
          DeviceDecode({options}, device).run(stream, placed, ownOut, ownLse);
          CHECK(reference::relativeError(reference::arrayOf(ownOut.download(stream)),
                                         reference::arrayOf(out)) <
                (dtype == DType::F32 ? 3e-5 : 1e-2));
          CHECK(reference::relativeError(reference::arrayOf(ownLse.download(stream)),
                                         reference::arrayOf(lse)) <
                (dtype == DType::F32 ? 3e-6 : 1e-3));
        }
}

TEST_CASE("pages that are nowhere hide their keys on a device") {
  std::unique_ptr<World> world = makeWorld({.onDevices = true});
  uint64_t seed = 1;
  for (DType dtype : {DType::F32, DType::BF16})
    for (int64_t page : {1, 7, 16, 64, 200})
      for (bool causal : {false, true}) {
        cli::DecodeCase given;
        given.options.attention = {
            .heads = 4, .kvHeads = 2, .headDim = 64, .dtype = dtype, .causal = causal};
        given.queries = 3;
        given.rows = 700;
        given.lengths = {700, 0, 1, 650};
        given.page = page;
        given.missingPages = true;
        given.seed = seed++;
        CAPTURE(given.name());
        std::vector<cli::DecodeErrors> found = cli::DecodeCheck(given).onDevices(*world);
        for (const cli::DecodeError &each : found.front())
          CHECK(each.ours <= each.bar);
      }
}
