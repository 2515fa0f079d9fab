#pragma once

#include "ringc/compiler/passes/gpu/Windows.h"

namespace ringc::gpu {

/// Windows of sums, which have an order of their own.
class Sums : Windows {
public:
  explicit Sums(ThreadCode &ofCode) : Windows(ofCode) {}
  LogicalResult lower(tile::LoadOp load);
  LogicalResult lower(block::StoreOp store, const Fragment &tile);
  /// What others may add to at the same time.
  void addAtomically(Value value, Value pointer);

private:
  struct SumsPlaces;
  bool addsFour() const { return code.target.sm >= 90; }
  void addFour(llvm::ArrayRef<Value> values, Value pointer);
  Value sumsIndexOf(Value row, Value column, int64_t blocksOfRow);
  mlir::FailureOr<SumsPlaces> sumsPlacesOf(mlir::Operation *op, Value view,
                                           mlir::ValueRange offsets, const FragmentLayout &layout,
                                           mlir::RankedTensorType tile);
};

} // namespace ringc::gpu
