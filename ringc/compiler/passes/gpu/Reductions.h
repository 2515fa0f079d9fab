#pragma once

#include "ringc/compiler/dialect/Tile.h"
#include "ringc/compiler/passes/gpu/Thread.h"

namespace ringc::gpu {

/// Groups of a warp's lanes that hold different numbers of a reduction over m (over n).
inline int64_t groupsOfWarp(bool overM) { return overM ? 4 : 8; }

/// Whether an axis is m.
inline bool isOverM(const FragmentLayout &from, int64_t axis) {
  return from.kind == FragmentLayout::Kind::Matrix ? axis == from.mAxis
                                                   : from.kind == FragmentLayout::Kind::AlongM;
}

/// The layout in which a reduction takes its operand, whose registers have the layout `held`: a row
/// or column that is a matrix for products' sake as it is held, anything else as a whole.
FragmentLayout reducedFrom(mlir::Value operand, const FragmentLayout &held);

/// The conditions, where the largest of ones where they hold and zeros where not is asked for: a
/// thread's become bits of words. Null for anything else.
mlir::Value conditionsReduced(tile::ReduceKind kind, mlir::Value operand);

/// tile.reduce, block.reduce, block.collapse, tile.all: of a thread's elements, of its lanes, of
/// the block's warps.
class Reductions : Thread {
public:
  explicit Reductions(ThreadCode &ofCode) : Thread(ofCode) {}
  LogicalResult lower(tile::ReduceOp op) {
    return lowerReduce(op, op.getKind(), op.getAxis(), Value());
  }
  LogicalResult lower(block::ReduceOp op) {
    return lowerReduce(op, op.getKind(), op.getAxis(), op.getWords());
  }
  LogicalResult lower(block::CollapseOp op);
  LogicalResult lower(tile::AllOp op);

private:
  using Combine = llvm::function_ref<Value(Value, Value)>;
  LogicalResult lowerReduce(mlir::Operation *op, tile::ReduceKind kind, int64_t axis, Value words);
  Fragment reduced(const Fragment &fragment, const FragmentLayout &to, bool overM, Combine combine,
                   Value neutral, Value words);
  LogicalResult reduceConditions(mlir::Operation *op, Value tile, const FragmentLayout &to,
                                 bool overM, Value words);
  Value counts(const FragmentLayout &from, int64_t m, int64_t n, bool overM);
  void acrossLanes(Combine combine, llvm::MutableArrayRef<Value> values, bool overM);
  void acrossWarps(Combine combine, llvm::MutableArrayRef<Value> values, bool overM, Value words);
};

} // namespace ringc::gpu
