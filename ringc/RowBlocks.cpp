#include "ringc/RowBlocks.h"

#include <algorithm>
#include <cassert>

namespace ringc {

namespace {

struct Axis {
  int64_t extent;
  std::array<int64_t, RowBlocks::most> stride;

  /// Whether `inner` continues it: both are one axis.
  bool joins(const Axis &inner) const {
    for (size_t i = 0; i < stride.size(); ++i)
      if (stride[i] != inner.extent * inner.stride[i])
        return false;
    return true;
  }
  bool canBePitch(int64_t width) const {
    return std::ranges::all_of(stride, [&](int64_t step) { return step >= width; });
  }
};

/// Without axes of one element, and neighbours joined where they can be.
std::vector<Axis> axesOf(const Tensor &a, const Tensor &b) {
  std::vector<Axis> axes;
  for (int at = 0; at < a.rank(); ++at) {
    Axis axis{a.dim(at), {a.stride(at), b.stride(at)}};
    if (axis.extent == 1)
      continue;
    if (!axes.empty() && axes.back().joins(axis)) {
      axis.extent *= axes.back().extent;
      axes.pop_back();
    }
    axes.push_back(axis);
  }
  return axes;
}

} // namespace

RowBlocks RowBlocks::of(const Tensor &a, const Tensor &b) {
  assert(std::ranges::equal(a.shape(), b.shape()));
  RowBlocks made;
  if (a.empty())
    return made;
  std::vector<Axis> axes = axesOf(a, b);
  if (!axes.empty() && axes.back().stride == std::array<int64_t, most>{1, 1}) {
    made.width = axes.back().extent;
    axes.pop_back();
  }
  made.pitch = {made.width, made.width};
  auto longest = axes.end();
  for (auto axis = axes.begin(); axis != axes.end(); ++axis)
    if (axis->canBePitch(made.width) && (longest == axes.end() || axis->extent > longest->extent))
      longest = axis;
  if (longest != axes.end()) {
    made.height = longest->extent;
    made.pitch = longest->stride;
    axes.erase(longest);
  }
  made.blocks = {Block{}};
  for (const Axis &axis : axes) {
    std::vector<Block> repeated;
    for (const Block &block : made.blocks)
      for (int64_t at = 0; at < axis.extent; ++at) {
        Block moved = block;
        for (size_t i = 0; i < moved.offset.size(); ++i)
          moved.offset[i] += at * axis.stride[i];
        repeated.push_back(moved);
      }
    made.blocks = std::move(repeated);
  }
  return made;
}

} // namespace ringc
