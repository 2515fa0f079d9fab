#include "tests/ring/RingRun.h"

#include "ringc/ring/Sharding.h"
#include "tests/ring/GuardedTensor.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <utility>

namespace ringc::test {

namespace {

void fill(const Tensor &tensor, float value) {
  std::fill_n(tensor.dataAs<float>(), tensor.elementCount(), value);
}

constexpr float nan = std::numeric_limits<float>::quiet_NaN();

/// NaN, of any strides.
void spoil(const Tensor &tensor) {
  HostTensor nans(tensor.dtype(), tensor.shape());
  fill(nans, nan);
  copy(nans, tensor);
}

/// What one rank holds; everything in memory of its own.
struct RankMemory {
  std::vector<GuardedTensor> queries; ///< q, dout, documents
  std::vector<GuardedTensor> keys;    ///< K, V, key mask, documents
  std::vector<HostTensor> gapped;     ///< K and V again, with gaps
  HostTensor out, lse, dq, dk, dv;
  HopMemory hops;
};

/// `tensor` as every other head of one twice as wide, NaN in between.
HostTensor withGaps(const Tensor &tensor) {
  HostTensor wide(tensor.dtype(), {tensor.dim(0), tensor.dim(1), 2 * tensor.dim(2), tensor.dim(3)});
  fill(wide, nan);
  copy(tensor, wide.view().slice(2, 0, tensor.dim(2)));
  return wide;
}

struct Shares {
  const RingCase &ring;
  SubRings rings{ring.world, ring.ringSize};

  BatchRange batch(int rank) const {
    return batchOfRing(ring.batch, rings.rings(), rings.ringOf(rank));
  }
  HostTensor take(const Tensor &global, int axis, int rank, bool hasBatch = true) const {
    BatchRange range = batch(rank);
    return shard(hasBatch ? global.slice(0, range.begin, range.count) : global, axis, ring.layout,
                 rings.placeOf(rank), ring.ringSize);
  }
  void give(const Tensor &local, int axis, int rank, const Tensor &global) const {
    BatchRange range = batch(rank);
    unshardInto(local, axis, ring.layout, rings.placeOf(rank), ring.ringSize,
                global.slice(0, range.begin, range.count));
  }
};

RankMemory deal(const Shares &shares, const Inputs &inputs, int rank, RunOptions::Keys layout) {
  RankMemory memory;
  for (const HostTensor *each : {&inputs.q, &inputs.dout})
    memory.queries.emplace_back(shares.take(*each, 1, rank));
  // Query i of a document is at row i: documents need as many queries as keys.
  const HostTensor &documents = inputs.documents;
  HostTensor queryDocuments = shares.ring.queries == shares.ring.keys
                                  ? shares.take(documents, 0, rank, false)
                                  : HostTensor(DType::I32, {memory.queries[0].view().dim(1)});
  memory.queries.emplace_back(queryDocuments);
  for (const HostTensor *each : {&inputs.k, &inputs.v, &inputs.keyMask})
    memory.keys.emplace_back(shares.take(*each, 1, rank));
  memory.keys.emplace_back(shares.take(documents, 0, rank, false));
  if (layout == RunOptions::Keys::WithGaps)
    for (int each : {0, 1})
      memory.gapped.push_back(withGaps(memory.keys[size_t(each)]));

  const Tensor &q = memory.queries[0], &dout = memory.queries[1], &k = memory.keys[0],
               &v = memory.keys[1];
  memory.out = HostTensor(DType::F32, dout.shape());
  memory.lse = HostTensor(DType::F32, {q.dim(0), q.dim(2), q.dim(1)});
  memory.dq = HostTensor(DType::F32, q.shape());
  memory.dk = HostTensor(DType::F32, k.shape());
  memory.dv = HostTensor(DType::F32, v.shape());
  for (const HostTensor *each : {&memory.out, &memory.lse, &memory.dq, &memory.dk, &memory.dv})
    fill(*each, nan); // what is not written shows
  return memory;
}

RankShard shardOf(const RankMemory &memory) {
  RankShard shard;
  for (size_t i = 0; i < memory.keys.size(); ++i) {
    const Tensor &own = memory.keys[i];
    bool gaps = i < memory.gapped.size();
    shard.keys.push_back(
        {gaps ? memory.gapped[i].view().slice(2, 0, own.dim(2)) : own, own.rank() == 1 ? 0 : 1});
  }
  shard.gradients = {{memory.dk, 1}, {memory.dv, 1}};
  return shard;
}

} // namespace

std::string RingCase::name() const {
  return nameOf(layout) + " " + nameOf(schedule) + " world " + std::to_string(world) + " ring " +
         std::to_string(ringSize) + " b " + std::to_string(batch) + " n " +
         std::to_string(queries) + "/" + std::to_string(keys) + " causal " +
         std::to_string(mask.causal) + " window " + std::to_string(mask.left) + "," +
         std::to_string(mask.right);
}

Inputs randomInputs(const RingCase &ring, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  auto tensor = [&](int64_t rows, int64_t heads, int64_t dim) {
    HostTensor result(DType::F32, {ring.batch, rows, heads, dim});
    std::generate_n(result.dataAs<float>(), result.elementCount(), [&] { return normal(random); });
    return result;
  };
  Inputs inputs;
  inputs.q = tensor(ring.queries, ring.heads, ring.dim);
  inputs.k = tensor(ring.keys, ring.kvHeads, ring.dim);
  inputs.v = tensor(ring.keys, ring.kvHeads, ring.valueDim);
  inputs.dout = tensor(ring.queries, ring.heads, ring.valueDim);
  inputs.keyMask = HostTensor(DType::Bool, {ring.batch, ring.keys});
  std::fill_n(inputs.keyMask.dataAs<uint8_t>(), inputs.keyMask.elementCount(), uint8_t(1));
  for (int64_t key : ring.hiddenKeys)
    for (int64_t b = 0; b < ring.batch; ++b) {
      inputs.keyMask.dataAs<uint8_t>()[b * ring.keys + key] = 0;
      for (const Tensor &each : {inputs.k.view(), inputs.v.view()}) {
        HostTensor hole(DType::F32, {each.dim(2), each.dim(3)});
        fill(hole, nan);
        copy(hole, each.select(0, b).select(0, key));
      }
    }
  inputs.documents = HostTensor(DType::I32, {ring.keys});
  for (int64_t start : ring.documentStarts)
    for (int64_t key = start; key < ring.keys; ++key)
      ++inputs.documents.dataAs<int32_t>()[key];
  return inputs;
}

Outputs runRing(const RingCase &ring, Inputs inputs, const RunOptions &options,
                std::vector<RunReport> *reports) {
  Shares shares{ring};
  std::vector<RankMemory> memories;
  for (int rank = 0; rank < ring.world; ++rank)
    memories.push_back(deal(shares, inputs, rank, options.keys));
  Outputs outputs{HostTensor(DType::F32, inputs.dout.shape()),
                  HostTensor(DType::F32, {ring.batch, ring.heads, ring.queries}),
                  HostTensor(DType::F32, inputs.q.shape()),
                  HostTensor(DType::F32, inputs.k.shape()),
                  HostTensor(DType::F32, inputs.v.shape())};
  inputs = {};
  if (reports)
    reports->resize(size_t(ring.world));

  InProcessWorld world(ring.world, options.transport);
  runRanks(world, [&](int rank) {
    RankMemory &memory = memories[size_t(rank)];
    RankShard own = shardOf(memory);
    int base = shares.rings.ringOf(rank) * ring.ringSize, place = shares.rings.placeOf(rank);
    auto keyPositions = [&, base](const HopBlock &block) {
      return positionsOf(positions(ring.layout, block.owner - base, ring.ringSize, ring.keys),
                         {block.firstRow, block.rows});
    };
    QueryShard queries{
        .q = memory.queries[0],
        .dout = memory.queries[1],
        .documents = memory.queries[2],
        .out = memory.out,
        .lse = memory.lse,
        .dq = memory.dq,
        .positions = queryPositions(ring.layout, place, ring.ringSize, ring.queries, ring.keys),
        .keyPositions = keyPositions,
        .mask = ring.mask,
        .scale = 1 / std::sqrt(double(ring.dim))};
    RingProblem problem{.rings = shares.rings,
                        .schedule = ring.schedule,
                        .layout = ring.layout,
                        .queryLength = ring.queries,
                        .keyLength = ring.keys,
                        .bytesPerKey = bytesPerKey(own.keys),
                        .gradientBytesPerKey = bytesPerKey(own.gradients)};
    auto rowByRow = [&](int query, int owner, int chunk) {
      Positions i = queryPositions(ring.layout, query, ring.ringSize, ring.queries, ring.keys);
      Positions j = positions(ring.layout, owner, ring.ringSize, ring.keys);
      int64_t shown = 0, rows = localLength(ring.layout, query, ring.ringSize, ring.queries);
      RowRange keys =
          chunkOfRows(ring.layout, owner, ring.ringSize, ring.keys, chunk, ring.schedule.chunks);
      for (int64_t row = 0; row < rows; ++row)
        for (int64_t key = 0; key < keys.count; ++key)
          shown += ring.mask.shows(i(row), j(keys.begin + key));
      return shown == 0 ? Visibility::None : Visibility::Partial;
    };
    auto pass = [&](Pass which, std::unique_ptr<HopKernels> kernels, Plan &plan,
                    ExecutionReport &report) {
      plan = planRank(which, rank, problem, rowByRow);
      if (options.wrap)
        kernels = options.wrap(rank, which, std::move(kernels), own, memory.hops);
      report = execute(plan, own, *kernels, world.at(rank), memory.hops, options.trace);
    };
    RunReport report;
    pass(Pass::Forward, std::make_unique<NaiveForward>(queries), report.forwardPlan,
         report.forward);
    pass(Pass::Backward, std::make_unique<NaiveBackward>(queries), report.backwardPlan,
         report.backward);
    for (const KeyIndexed &each : own.keys)
      if (each.tensor.dtype() == DType::F32)
        spoil(each.tensor);
    if (reports)
      (*reports)[size_t(rank)] = std::move(report);
  });

  for (int rank = 0; rank < ring.world; ++rank) {
    const RankMemory &memory = memories[size_t(rank)];
    shares.give(memory.out, 1, rank, outputs.out);
    shares.give(memory.lse, 2, rank, outputs.lse);
    shares.give(memory.dq, 1, rank, outputs.dq);
    shares.give(memory.dk, 1, rank, outputs.dk);
    shares.give(memory.dv, 1, rank, outputs.dv);
  }
  return outputs;
}

reference::Result expected(const RingCase &ring, const Inputs &inputs) {
  reference::Problem problem;
  problem.q = reference::arrayOf(inputs.q);
  problem.k = reference::arrayOf(inputs.k);
  problem.v = reference::arrayOf(inputs.v);
  problem.dout = reference::arrayOf(inputs.dout);
  problem.mask.causal = ring.mask.causal;
  problem.mask.windowLeft = ring.mask.left;
  problem.mask.windowRight = ring.mask.right;
  const uint8_t *keyMask = inputs.keyMask.dataAs<uint8_t>();
  problem.mask.keyMask.assign(keyMask, keyMask + inputs.keyMask.elementCount());
  if (!ring.documentStarts.empty()) {
    problem.mask.cuSeqlens = {0};
    for (int64_t start : ring.documentStarts)
      problem.mask.cuSeqlens.push_back(int32_t(start));
    problem.mask.cuSeqlens.push_back(int32_t(ring.keys));
  }
  return reference::attention(problem);
}

double worstError(const Outputs &outputs, const reference::Result &expected) {
  auto error = [](const Tensor &actual, const reference::Array &right) {
    return reference::relativeError(reference::arrayOf(actual), right);
  };
  return std::max({error(outputs.out, expected.out), error(outputs.lse, expected.lse),
                   error(outputs.dq, expected.dq), error(outputs.dk, expected.dk),
                   error(outputs.dv, expected.dv)});
}

bool sameBits(const Outputs &a, const Outputs &b) {
  auto same = [](const HostTensor &x, const HostTensor &y) {
    return x.byteCount() == y.byteCount() &&
           std::memcmp(x.data(), y.data(), size_t(x.byteCount())) == 0;
  };
  return same(a.out, b.out) && same(a.lse, b.lse) && same(a.dq, b.dq) && same(a.dk, b.dk) &&
         same(a.dv, b.dv);
}

} // namespace ringc::test
