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

static int64_t aligned(int64_t bytes) { return (bytes + 255) / 256 * 256; }

static int64_t roomFor(std::span<const KeyIndexed> like, int64_t rows) {
  int64_t bytes = 0;
  for (const KeyIndexed &each : like)
    bytes += aligned(each.bytesPerKey() * rows);
  return bytes;
}

Plan::OwnKeys ownKeysOf(std::span<const KeyIndexed> keys) {
  return std::ranges::all_of(keys,
                             [](const KeyIndexed &each) { return each.tensor.isContiguous(); })
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
    const Tensor &model = like[i].tensor;
    std::vector<int64_t> shape(model.shape().begin(), model.shape().end());
    shape[size_t(like[i].keyAxis)] = rows;
    bool held = i < parts.size();
    tensors.emplace_back(held ? parts[i].data : nullptr, model.dtype(), shape);
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
  int64_t bytes = ringc::roomFor(gradientTensors, plan.homeBufferRows());
  for (int64_t rows : plan.keyBufferRows(ownKeysOf(keyTensors)))
    bytes += ringc::roomFor(keyTensors, rows);
  for (int64_t rows : plan.gradientBufferRows())
    bytes += ringc::roomFor(gradientTensors, rows);
  return bytes;
}

void HopMemory::reserve(const Plan &plan, std::span<const KeyIndexed> keyTensors,
                        std::span<const KeyIndexed> gradientTensors) {
  std::span<std::byte> room = given;
  if (!grows) {
    int64_t needed = roomFor(plan, keyTensors, gradientTensors);
    if (int64_t(room.size()) < needed)
      throw InputError("room for hop buffers", std::to_string(room.size()) + " bytes",
                       std::to_string(needed) + " or more");
  }
  auto reserveIn = [&](Buffer &buffer, std::span<const KeyIndexed> like, int64_t rows) {
    if (grows)
      buffer.grow(like, rows);
    else
      buffer.cut(like, rows, room);
  };
  std::array<int64_t, 2> keyRows = plan.keyBufferRows(ownKeysOf(keyTensors));
  std::array<int64_t, 2> gradientRows = plan.gradientBufferRows();
  for (size_t i = 0; i < 2; ++i) {
    reserveIn(keys[i], keyTensors, keyRows[i]);
    reserveIn(gradients[i], gradientTensors, gradientRows[i]);
  }
  reserveIn(home, gradientTensors, plan.homeBufferRows());
}

int64_t HopMemory::bytes() const {
  return keys[0].bytes() + keys[1].bytes() + gradients[0].bytes() + gradients[1].bytes() +
         home.bytes();
}

} // namespace ringc
