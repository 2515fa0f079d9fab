#include "runtime/ring/HopMemory.h"

#include "runtime/Error.h"

#include <algorithm>
#include <cassert>
#include <string>

namespace ringc {

int64_t KeyIndexed::bytesPerKey() const {
  if (keyAxis < 0 || keyAxis >= tensor.rank())
    throw InputError("key axis", std::to_string(keyAxis), "an axis of " + describe(tensor));
  int64_t bytes = int64_t(sizeOf(tensor.dtype()));
  for (int axis = 0; axis < tensor.rank(); ++axis)
    if (axis != keyAxis)
      bytes *= tensor.dim(axis);
  return bytes;
}

int64_t bytesPerKey(std::span<const KeyIndexed> tensors) {
  int64_t bytes = 0;
  for (const KeyIndexed &each : tensors)
    bytes += each.bytesPerKey();
  return bytes;
}

/// A tensor without memory has one element all the same.
static int64_t bytesOf(const HostTensor &part) { return part.data() ? part.byteCount() : 0; }

Plan::OwnKeys ownKeysOf(std::span<const KeyIndexed> keys) {
  return std::ranges::all_of(keys,
                             [](const KeyIndexed &each) { return each.tensor.isContiguous(); })
             ? Plan::OwnKeys::Contiguous
             : Plan::OwnKeys::Strided;
}

void HopMemory::Buffer::reserve(std::span<const KeyIndexed> like, int64_t rows) {
  if (parts.size() < like.size())
    parts.resize(like.size());
  for (size_t i = 0; i < like.size(); ++i) {
    int64_t bytes = like[i].bytesPerKey() * rows;
    if (bytes <= bytesOf(parts[i]))
      continue;
    parts[i] = {};
    parts[i] = HostTensor(DType::Bool, {bytes});
  }
}

std::vector<Tensor> HopMemory::Buffer::views(std::span<const KeyIndexed> like, int64_t rows) const {
  std::vector<Tensor> tensors;
  for (size_t i = 0; i < like.size(); ++i) {
    const Tensor &model = like[i].tensor;
    std::vector<int64_t> shape(model.shape().begin(), model.shape().end());
    shape[size_t(like[i].keyAxis)] = rows;
    bool held = i < parts.size();
    tensors.emplace_back(held ? parts[i].data() : nullptr, model.dtype(), shape);
    assert(tensors.back().byteCount() <= (held ? bytesOf(parts[i]) : 0));
  }
  return tensors;
}

int64_t HopMemory::Buffer::bytes() const {
  int64_t sum = 0;
  for (const HostTensor &part : parts)
    sum += bytesOf(part);
  return sum;
}

void HopMemory::reserve(const Plan &plan, std::span<const KeyIndexed> keyTensors,
                        std::span<const KeyIndexed> gradientTensors) {
  std::array<int64_t, 2> keyRows = plan.keyBufferRows(ownKeysOf(keyTensors));
  std::array<int64_t, 2> gradientRows = plan.gradientBufferRows();
  for (size_t i = 0; i < 2; ++i) {
    keys[i].reserve(keyTensors, keyRows[i]);
    gradients[i].reserve(gradientTensors, gradientRows[i]);
  }
  home.reserve(gradientTensors, plan.homeBufferRows());
}

int64_t HopMemory::bytes() const {
  return keys[0].bytes() + keys[1].bytes() + gradients[0].bytes() + gradients[1].bytes() +
         home.bytes();
}

} // namespace ringc
