#include "ringc/ring/HopMemory.h"

#include "ringc/support/Error.h"

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

Tensor KeyIndexed::like(void *data, int64_t rows) const {
  std::vector<int64_t> shape(tensor.shape().begin(), tensor.shape().end());
  shape[size_t(keyAxis)] = rows;
  return Tensor(data, tensor.dtype(), shape);
}

int64_t bytesPerKey(std::span<const KeyIndexed> tensors) {
  int64_t bytes = 0;
  for (const KeyIndexed &each : tensors)
    bytes += each.bytesPerKey();
  return bytes;
}

static int64_t aligned(int64_t bytes) { return (bytes + 255) / 256 * 256; }

static int64_t roomFor(std::span<const KeyIndexed> like, int64_t rows) {
  int64_t bytes = 0;
  for (const KeyIndexed &each : like)
    bytes += aligned(each.bytesPerKey() * rows);
  return bytes;
}

/// A chunk has gaps between the entries of axes before that of keys.
static bool hasGaps(const KeyIndexed &keys, bool inChunks) {
  if (!keys.tensor.isContiguous())
    return true;
  for (int axis = 0; inChunks && axis < keys.keyAxis; ++axis)
    if (keys.tensor.dim(axis) > 1)
      return true;
  return false;
}

Plan::OwnKeys ownKeysOf(std::span<const KeyIndexed> keys, const Plan &plan) {
  bool inChunks = plan.problem.schedule.chunks > 1;
  return std::ranges::none_of(keys, [&](const KeyIndexed &each) { return hasGaps(each, inChunks); })
             ? Plan::OwnKeys::Contiguous
             : Plan::OwnKeys::Strided;
}

void HopMemory::Buffer::grow(std::span<const KeyIndexed> like, int64_t rows) {
  if (parts.size() < like.size())
    parts.resize(like.size());
  for (size_t i = 0; i < like.size(); ++i) {
    int64_t bytes = like[i].bytesPerKey() * rows;
    if (bytes <= parts[i].bytes)
      continue;
    parts[i] = {};
    parts[i].owned = HostTensor(DType::Bool, {bytes});
    parts[i].data = parts[i].owned.data();
    parts[i].bytes = bytes;
  }
}

void HopMemory::Buffer::cut(std::span<const KeyIndexed> like, int64_t rows,
                            std::span<std::byte> &room) {
  parts.clear();
  for (const KeyIndexed &each : like) {
    int64_t bytes = each.bytesPerKey() * rows;
    parts.push_back({.data = room.data(), .bytes = bytes, .owned = {}});
    room = room.subspan(size_t(aligned(bytes)));
  }
}

std::vector<Tensor> HopMemory::Buffer::views(std::span<const KeyIndexed> like, int64_t rows) const {
  std::vector<Tensor> tensors;
  for (size_t i = 0; i < like.size(); ++i) {
    bool held = i < parts.size();
    tensors.push_back(like[i].like(held ? parts[i].data : nullptr, rows));
    assert(tensors.back().byteCount() <= (held ? parts[i].bytes : 0));
  }
  return tensors;
}

int64_t HopMemory::Buffer::bytes() const {
  int64_t sum = 0;
  for (const Part &part : parts)
    sum += part.bytes;
  return sum;
}

int64_t HopMemory::roomFor(const Plan &plan, std::span<const KeyIndexed> keyTensors,
                           std::span<const KeyIndexed> gradientTensors) {
  int64_t bytes = 0;
  for (int64_t rows : plan.keyBufferRows(ownKeysOf(keyTensors, plan), Plan::FromOthers::Received))
    bytes += ringc::roomFor(keyTensors, rows);
  for (const auto &buffers : {plan.gradientBufferRows(Plan::FromOthers::Received),
                              plan.homeBufferRows(Plan::FromOthers::Received)})
    for (int64_t rows : buffers)
      bytes += ringc::roomFor(gradientTensors, rows);
  return bytes;
}

void HopMemory::reserve(const Plan &plan, std::span<const KeyIndexed> keyTensors,
                        std::span<const KeyIndexed> gradientTensors, Plan::FromOthers fromOthers) {
  std::span<std::byte> room = given;
  if (!grows) {
    int64_t needed = roomFor(plan, keyTensors, gradientTensors);
    if (int64_t(room.size()) < needed)
      throw InputError("room for hop buffers", std::to_string(room.size()) + " bytes",
                       std::to_string(needed) + " or more");
  }
  auto reserveAll = [&](std::vector<Buffer> &buffers, std::span<const KeyIndexed> like,
                        const std::vector<int64_t> &rows) {
    buffers.resize(std::max(buffers.size(), rows.size()));
    for (size_t i = 0; i < rows.size(); ++i)
      if (grows)
        buffers[i].grow(like, rows[i]);
      else
        buffers[i].cut(like, rows[i], room);
  };
  reserveAll(keys, keyTensors, plan.keyBufferRows(ownKeysOf(keyTensors, plan), fromOthers));
  reserveAll(gradients, gradientTensors, plan.gradientBufferRows(fromOthers));
  reserveAll(home, gradientTensors, plan.homeBufferRows(fromOthers));
}

int64_t HopMemory::bytes() const {
  int64_t sum = 0;
  for (std::span<const Buffer> buffers :
       {std::span<const Buffer>(keys), std::span<const Buffer>(gradients),
        std::span<const Buffer>(home)})
    for (const Buffer &buffer : buffers)
      sum += buffer.bytes();
  return sum;
}

} // namespace ringc
