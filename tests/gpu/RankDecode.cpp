// Decoding of processes over NCCL, as nccl_test.py starts them.

#include "ringc/decode/TreeAttnDecode.h"
#include "ringc/ring/Agreement.h"
#include "tests/gpu/PlacedDecode.h"
#include "tests/gpu/RankSelf.h"
#include "tests/support/ReferenceAttention.h"
#include "tools/ringc/RandomProblem.h"

#include <algorithm>
#include <cstdio>
#include <string>

namespace ringc::test {

namespace {

cli::DecodeCase caseOf(DType dtype, int64_t page, int ranks) {
  return {.options = {{.heads = 8, .kvHeads = 2, .headDim = 128, .dtype = dtype, .causal = true}},
          .queries = 2,
          .rows = 3000,
          .lengths = {3000, 0, 5, 1700},
          .ranks = ranks,
          .page = page};
}

std::string bitsOf(const CudaStream &stream, const Tensor &tensor) {
  HostTensor home(tensor.dtype(), tensor.shape());
  stream.download(home.data(), tensor.data(), home.byteCount());
  stream.synchronize();
  return std::to_string(checksum({home.dataAs<std::byte>(), size_t(home.byteCount())}));
}

/// Calls, and replays of a graph with other lengths in between.
bool isRight(Self &self, const cli::DecodeCase &given) {
  cli::DecodeCase shorter = given;
  shorter.lengths = {12, 2999, 0, 1000};
  DecodeProblem problem(given, 3), other(shorter, 4);
  int rank = self.process.rank;
  PlacedDecode tensors(problem, rank, self.context);
  CudaStream stream(self.context.device);
  DeviceDecode decode(problem.options(), self.context);
  auto run = [&] {
    const auto &[inputs, keys, out, lse] = tensors.call;
    decode.run(stream, inputs, keys, *self.transport, out, lse);
  };
  for (int again = 0; again < 5; ++again)
    run();
  self.transport->wait(stream);
  bool right = tensors.isRight();
  CudaGraph graph = stream.capture(run);
  for (const DecodeProblem *each : {&other, &problem}) {
    tensors.refill(*each);
    for (int again = 0; again < 3; ++again)
      graph.launch(stream);
    self.transport->wait(stream);
    right &= tensors.isRight();
    std::printf("%s page %lld bits %s of rank %d: %s\n",
                std::string(nameOf(given.options.attention.dtype)).c_str(),
                static_cast<long long>(given.page), bitsOf(stream, tensors.call.out).c_str(), rank,
                right ? "right" : "wrong");
  }
  return right;
}

/// Whole keys on each rank, and shards of which the last rank has none.
bool isTreeRight(Self &self) {
  std::mt19937_64 random(7);
  constexpr int64_t heads = 8, rows = 1000, dim = 64;
  HostTensor q = cli::randomTensor(DType::F32, {2, heads, 1, dim}, random),
             k = cli::randomTensor(DType::F32, {2, 2, rows, dim}, random),
             v = cli::randomTensor(DType::F32, {2, 2, rows, dim}, random);
  auto byRows = [](const Tensor &tensor) {
    return reference::arrayOf(tensor.permute({0, 2, 1, 3}));
  };
  reference::Problem problem;
  problem.q = byRows(q);
  problem.k = byRows(k);
  problem.v = byRows(v);
  reference::Result exact = reference::attention(problem);
  CudaStream stream(self.context.device);
  DeviceTensor ownQ = DeviceTensor::copyOf(stream, q), ownK = DeviceTensor::copyOf(stream, k),
               ownV = DeviceTensor::copyOf(stream, v),
               out(self.context.device, DType::F32, q.shape()),
               lse(self.context.device, DType::F32, std::vector<int64_t>{2, heads, 1});
  DeviceDecode decode({{.heads = heads, .kvHeads = 2, .headDim = dim}}, self.context);
  bool right = true;
  for (TreeKeys keys : {TreeKeys::Whole, TreeKeys::Shard}) {
    TreeInputs inputs{.q = ownQ, .k = ownK, .v = ownV, .keys = keys};
    if (keys == TreeKeys::Shard) {
      int64_t shares = self.process.world - 1, rank = self.process.rank;
      int64_t begin = rows * rank / shares,
              count = rank == shares ? 0 : rows * (rank + 1) / shares - begin;
      inputs.k = ownK.view().slice(2, std::min(begin, rows), count);
      inputs.v = ownV.view().slice(2, std::min(begin, rows), count);
    }
    treeAttnDecode(decode, stream, inputs, *self.transport, out, lse);
    self.transport->wait(stream);
    double error = reference::relativeError(byRows(out.download(stream)), exact.out);
    std::printf("tree_attn_decode of rank %d: error %.1e\n", self.process.rank, error);
    right &= error < 3e-5;
  }
  return right;
}

} // namespace

int decodes(std::chrono::milliseconds deadline) {
  Self self(deadline);
  self.connect();
  bool right = isTreeRight(self);
  for (DType dtype : {DType::BF16, DType::F32})
    for (int64_t page : {0, 64, 16})
      right &= isRight(self, caseOf(dtype, page, self.process.world));
  return right ? 0 : 1;
}

/// A call for which rank 1 has another split, and one once all have the same again.
int otherDecode(std::chrono::milliseconds deadline) {
  Self self(deadline);
  self.connect();
  DecodeProblem problem(caseOf(DType::BF16, 64, self.process.world), 3);
  PlacedDecode tensors(problem, self.process.rank, self.context);
  CudaStream stream(self.context.device);
  DecodeOptions options = problem.options();
  if (self.process.rank == 1)
    options.split = 64;
  const auto &[inputs, keys, out, lse] = tensors.call;
  try {
    DeviceDecode(options, self.context).run(stream, inputs, keys, *self.transport, out, lse);
    self.transport->wait(stream);
    std::printf("rank %d finished\n", self.process.rank);
    return 1;
  } catch (const PeerError &error) {
    std::printf("rank %d ended: %s\n", self.process.rank, error.what());
  }
  DeviceDecode again(problem.options(), self.context);
  again.run(stream, inputs, keys, *self.transport, out, lse);
  self.transport->wait(stream);
  std::printf("rank %d goes on: %s\n", self.process.rank, tensors.isRight() ? "right" : "wrong");
  return 5;
}

} // namespace ringc::test
