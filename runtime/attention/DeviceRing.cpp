#include "runtime/attention/DeviceRing.h"

#include <cassert>

namespace ringc {

namespace {

std::vector<Tensor> tensorsOf(std::span<const KeyIndexed> indexed) {
  std::vector<Tensor> tensors;
  for (const KeyIndexed &each : indexed)
    tensors.push_back(each.tensor);
  return tensors;
}

} // namespace

DeviceRing::Buffer::Buffer(std::span<const KeyIndexed> like, int64_t rows,
                           const CudaStream &stream) {
  for (const KeyIndexed &each : like)
    parts.emplace_back(stream.device(), each.bytesPerKey() * rows);
}

std::vector<Tensor> DeviceRing::Buffer::views(std::span<const KeyIndexed> like,
                                              int64_t rows) const {
  std::vector<Tensor> tensors;
  for (size_t i = 0; i < like.size(); ++i) {
    const Tensor &model = like[i].tensor;
    std::vector<int64_t> shape(model.shape().begin(), model.shape().end());
    shape[size_t(like[i].keyAxis)] = rows;
    tensors.emplace_back(parts[i].data(), model.dtype(), shape);
    assert(tensors.back().byteCount() <= parts[i].bytes());
  }
  return tensors;
}

DeviceRing::Buffers::Buffers(const DeviceRank &rank, const CudaStream &stream)
    : keys{Buffer(rank.shard.keys, rank.plan.keyBufferRows(Plan::OwnKeys::Contiguous)[0], stream),
           Buffer(rank.shard.keys, rank.plan.keyBufferRows(Plan::OwnKeys::Contiguous)[1], stream)},
      gradients{Buffer(rank.shard.gradients, rank.plan.gradientBufferRows()[0], stream),
                Buffer(rank.shard.gradients, rank.plan.gradientBufferRows()[1], stream)},
      home(rank.shard.gradients, rank.plan.homeBufferRows(), stream) {}

DeviceRing::DeviceRing(std::span<DeviceRank> allRanks, const CudaStream &order)
    : ranks(allRanks), stream(order) {
  for (const DeviceRank &rank : ranks)
    buffers.emplace_back(rank, stream);
}

const Step &DeviceRing::stepOf(int rank, int step) const {
  return ranks[size_t(rank)].plan.steps[size_t(step)];
}

std::vector<Tensor> DeviceRing::keysAt(int rank, int step) const {
  const RankShard &shard = ranks[size_t(rank)].shard;
  if (step == 0)
    return tensorsOf(shard.keys);
  return buffers[size_t(rank)].keys[size_t(step) % 2].views(shard.keys, stepOf(rank, step).rows);
}

/// Where a rank sums gradients for the owner of the step's keys.
std::vector<Tensor> DeviceRing::gradientsAt(int rank, int step) const {
  const RankShard &shard = ranks[size_t(rank)].shard;
  if (step == 0)
    return tensorsOf(shard.gradients);
  return buffers[size_t(rank)].gradients[size_t(step) % 2].views(shard.gradients,
                                                                 stepOf(rank, step).rows);
}

void DeviceRing::run() {
  int world = int(ranks.size()), steps = int(ranks[0].plan.steps.size());
  for (int rank = 0; rank < world; ++rank)
    for (const Tensor &own : gradientsAt(rank, 0))
      ranks[size_t(rank)].kernels->zero(own);
  // One stream: what a step reads was written before, and what it overwrites was read before.
  for (int step = 0; step < steps; ++step) {
    for (int rank = 0; rank < world; ++rank)
      moveKeys(rank, step);
    for (int rank = 0; rank < world; ++rank)
      if (stepOf(rank, step).computes())
        compute(rank, step);
    for (int rank = 0; rank < world; ++rank)
      moveGradients(rank, step);
  }
  for (DeviceRank &rank : ranks)
    if (!rank.plan.firstComputed())
      rank.kernels->runNothing();
}

/// The keys of the rank's next step come while those of this step are used.
void DeviceRing::moveKeys(int rank, int step) {
  std::optional<int> from = stepOf(rank, step).keysFrom;
  if (!from)
    return;
  std::vector<Tensor> there = keysAt(*from, step), here = keysAt(rank, step + 1);
  for (size_t i = 0; i < here.size(); ++i)
    stream.copy(here[i].data(), there[i].data(), here[i].byteCount());
}

void DeviceRing::compute(int rank, int step) {
  const DeviceRank &own = ranks[size_t(rank)];
  const Step &now = stepOf(rank, step);
  std::vector<Tensor> keys = keysAt(rank, step), gradients;
  if (own.plan.pass == Pass::Backward) {
    gradients = gradientsAt(rank, step);
    bool continues = step > 0 && stepOf(rank, step - 1).gradientsFrom.has_value();
    if (step > 0 && !continues)
      for (const Tensor &sum : gradients)
        own.kernels->zero(sum);
  }
  own.kernels->run({.step = step,
                    .owner = now.owner,
                    .rows = now.rows,
                    .visibility = now.visibility,
                    .begins = step == own.plan.firstComputed(),
                    .ends = step == own.plan.lastComputed(),
                    .keys = keys,
                    .gradients = gradients});
}

/// A sum goes on with its keys, or home, where it is added.
void DeviceRing::moveGradients(int rank, int step) {
  const Step &now = stepOf(rank, step);
  if (now.gradientsFrom) {
    std::vector<Tensor> there = gradientsAt(*now.gradientsFrom, step),
                        here = gradientsAt(rank, step + 1);
    for (size_t i = 0; i < here.size(); ++i)
      stream.copy(here[i].data(), there[i].data(), here[i].byteCount());
  }
  if (now.homeFrom) {
    const DeviceRank &own = ranks[size_t(rank)];
    std::vector<Tensor> there = gradientsAt(*now.homeFrom, step), sums = gradientsAt(rank, 0),
                        home = buffers[size_t(rank)].home.views(own.shard.gradients,
                                                                stepOf(rank, 0).rows);
    for (size_t i = 0; i < home.size(); ++i) {
      stream.copy(home[i].data(), there[i].data(), home[i].byteCount());
      own.kernels->add(home[i], sums[i]);
    }
  }
}

} // namespace ringc
