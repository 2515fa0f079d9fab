#include "ringc/ring/Sharding.h"

#include "ringc/support/Error.h"

#include <algorithm>
#include <vector>

namespace ringc {

namespace {

void checkAxis(const Tensor &tensor, int axis) {
  if (axis < 0 || axis >= tensor.rank())
    throw InputError("axis", std::to_string(axis), "an axis of " + describe(tensor));
}

/// Calls visit(localSlice, globalSlice) for each run of consecutive positions.
template <typename Visit>
void forEachRun(const Tensor &local, const Tensor &global, int axis, const Positions &at,
                Visit &&visit) {
  for (int64_t row = 0, rows = local.dim(axis); row < rows; row += at.block) {
    int64_t count = std::min(at.block, rows - row);
    visit(local.slice(axis, row, count), global.slice(axis, at(row), count));
  }
}

void checkPair(const Tensor &local, const Tensor &global, int axis, const SequenceLayout &layout,
               int rank, int world) {
  checkAxis(global, axis);
  std::vector<int64_t> expected(global.shape().begin(), global.shape().end());
  expected[axis] = localLength(layout, rank, world, global.dim(axis));
  if (!std::ranges::equal(expected, local.shape()) || local.dtype() != global.dtype())
    throw InputError("shard of rank " + std::to_string(rank), describe(local),
                     describe(Tensor(nullptr, global.dtype(), expected)));
}

} // namespace

void shardInto(const Tensor &global, int axis, const SequenceLayout &layout, int rank, int world,
               const Tensor &local) {
  checkPair(local, global, axis, layout, rank, world);
  forEachRun(local, global, axis, positions(layout, rank, world, global.dim(axis)),
             [](const Tensor &to, const Tensor &from) { copy(from, to); });
}

void unshardInto(const Tensor &local, int axis, const SequenceLayout &layout, int rank, int world,
                 const Tensor &global) {
  checkPair(local, global, axis, layout, rank, world);
  forEachRun(local, global, axis, positions(layout, rank, world, global.dim(axis)),
             [](const Tensor &from, const Tensor &to) { copy(from, to); });
}

HostTensor shard(const Tensor &global, int axis, const SequenceLayout &layout, int rank,
                 int world) {
  checkAxis(global, axis);
  std::vector<int64_t> shape(global.shape().begin(), global.shape().end());
  shape[axis] = localLength(layout, rank, world, global.dim(axis));
  HostTensor local(global.dtype(), shape);
  shardInto(global, axis, layout, rank, world, local);
  return local;
}

HostTensor unshard(std::span<const Tensor> shards, int axis, const SequenceLayout &layout) {
  if (shards.empty())
    throw InputError("shards", "none", "one for each rank");
  std::vector<int64_t> shape(shards[0].shape().begin(), shards[0].shape().end());
  int64_t length = 0;
  for (const Tensor &local : shards) {
    checkAxis(local, axis);
    length += local.dim(axis);
  }
  shape[axis] = length;
  HostTensor global(shards[0].dtype(), shape);
  for (size_t rank = 0; rank < shards.size(); ++rank)
    unshardInto(shards[rank], axis, layout, int(rank), int(shards.size()), global);
  return global;
}

HostTensor pad(const Tensor &tensor, int axis, int64_t length) {
  checkAxis(tensor, axis);
  if (length < tensor.dim(axis))
    throw InputError("padded length", std::to_string(length),
                     std::to_string(tensor.dim(axis)) + " or more");
  std::vector<int64_t> shape(tensor.shape().begin(), tensor.shape().end());
  shape[axis] = length;
  HostTensor padded(tensor.dtype(), shape);
  copy(tensor, unpad(padded, axis, tensor.dim(axis)));
  return padded;
}

Tensor unpad(const Tensor &tensor, int axis, int64_t length) {
  checkAxis(tensor, axis);
  if (length < 0 || length > tensor.dim(axis))
    throw InputError("length", std::to_string(length), "0 to " + std::to_string(tensor.dim(axis)));
  return tensor.slice(axis, 0, length);
}

} // namespace ringc
