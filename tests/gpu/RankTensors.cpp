#include "tests/gpu/RankTensors.h"

#include "ringc/attention/device/DeviceElementwise.h"
#include "ringc/attention/shared/Options.h"
#include "ringc/ring/Sharding.h"

namespace ringc::test {

RankTensors::RankTensors(const AttentionOptions &given, int world, const RingInputs &whole,
                         const std::vector<DeviceContext> &deviceOfRank, Layout layout)
    : options(completed(given)), global{whole.q.dim(0), whole.q.dim(1), whole.k.dim(1)} {
  for (int number = 0; number < world; ++number) {
    Rank &rank = ranks.emplace_back(Rank{RankProblem(options, world, number, global),
                                         CudaStream(deviceOfRank[size_t(number)].device),
                                         {}});
    int64_t batch = rank.problem.batch().count, queries = rank.problem.queryRows(),
            keys = rank.problem.keyRows();
    auto make = [&](int64_t rows, int64_t heads, int64_t dim) {
      return room(rank, options.dtype, {batch, rows, heads, dim}, layout);
    };
    RankBackward made;
    made.inputs.q = make(queries, options.heads, options.headDim);
    made.inputs.k = make(keys, options.kvHeads, options.headDim);
    made.inputs.v = make(keys, options.kvHeads, options.valueHeadDim);
    made.dout = make(queries, options.heads, options.valueHeadDim);
    made.results.out = make(queries, options.heads, options.valueHeadDim);
    made.results.lse = room(rank, DType::F32, {batch, options.heads, queries}, Layout::Dense);
    made.results.rowMax = room(rank, DType::F32, {batch, options.heads, queries}, Layout::Dense);
    made.results.rowSum = room(rank, DType::F32, {batch, options.heads, queries}, Layout::Dense);
    made.gradients.dq = make(queries, options.heads, options.headDim);
    made.gradients.dk = make(keys, options.kvHeads, options.headDim);
    made.gradients.dv = make(keys, options.kvHeads, options.valueHeadDim);
    backwards.push_back(made);
    forwards.push_back({made.inputs, made.results});
  }
  refill(whole);
}

Tensor RankTensors::room(Rank &rank, DType dtype, std::vector<int64_t> shape, Layout layout) {
  if (layout == Layout::Dense)
    return rank.memory.emplace_back(rank.stream.device(), dtype, shape);
  // Heads of one tensor twice as wide.
  std::vector<int64_t> wide = shape;
  wide[2] *= 2;
  const Tensor &all = rank.memory.emplace_back(rank.stream.device(), dtype, wide);
  return all.slice(2, shape[2], shape[2]);
}

void RankTensors::fill(Rank &rank, const Tensor &whole, const Tensor &part) {
  BatchRange batch = rank.problem.batch();
  HostTensor rows = shard(whole.slice(0, batch.begin, batch.count), 1, options.layout,
                          rank.problem.place(), rank.problem.rings.ringSize);
  DeviceTensor dense = DeviceTensor::copyOf(rank.stream, rows);
  copyOnDevice(rank.stream, dense, part);
  rank.stream.synchronize();
}

void RankTensors::refill(const RingInputs &whole) {
  for (size_t rank = 0; rank < ranks.size(); ++rank) {
    RankBackward &own = backwards[rank];
    fill(ranks[rank], whole.q, own.inputs.q);
    fill(ranks[rank], whole.k, own.inputs.k);
    fill(ranks[rank], whole.v, own.inputs.v);
    fill(ranks[rank], whole.dout, own.dout);
  }
}

HostTensor RankTensors::bring(const Rank &rank, const Tensor &part) const {
  DeviceTensor dense(rank.stream.device(), part.dtype(), part.shape());
  copyOnDevice(rank.stream, part, dense);
  return dense.download(rank.stream);
}

void RankTensors::give(const Rank &rank, const Tensor &part, int rowAxis,
                       const Tensor &whole) const {
  BatchRange batch = rank.problem.batch();
  unshardInto(bring(rank, part), rowAxis, options.layout, rank.problem.place(),
              rank.problem.rings.ringSize, whole.slice(0, batch.begin, batch.count));
}

HostAttentionRing::Forward RankTensors::forward() const {
  HostAttentionRing::Forward made{
      HostTensor(options.dtype,
                 {global.batch, global.queryLength, options.heads, options.valueHeadDim}),
      HostTensor(DType::F32, {global.batch, options.heads, global.queryLength})};
  for (size_t rank = 0; rank < ranks.size(); ++rank) {
    give(ranks[rank], forwards[rank].results.out, 1, made.out);
    give(ranks[rank], forwards[rank].results.lse, 2, made.lse);
  }
  return made;
}

HostAttentionRing::Gradients RankTensors::gradients() const {
  auto whole = [&](int64_t rows, int64_t heads, int64_t dim) {
    return HostTensor(options.dtype, {global.batch, rows, heads, dim});
  };
  HostAttentionRing::Gradients made{whole(global.queryLength, options.heads, options.headDim),
                                    whole(global.keyLength, options.kvHeads, options.headDim),
                                    whole(global.keyLength, options.kvHeads, options.valueHeadDim)};
  for (size_t rank = 0; rank < ranks.size(); ++rank) {
    const GradientResults &own = backwards[rank].gradients;
    give(ranks[rank], own.dq, 1, made.dq);
    give(ranks[rank], own.dk, 1, made.dk);
    give(ranks[rank], own.dv, 1, made.dv);
  }
  return made;
}

std::vector<AttentionInputs> RankTensors::inputs() const {
  std::vector<AttentionInputs> made;
  for (const RankForward &rank : forwards)
    made.push_back(rank.inputs);
  return made;
}

} // namespace ringc::test
