#pragma once

#include "ringc/compiler/passes/cpu/KernelFrame.h"

#include "mlir/IR/IRMapping.h"

namespace ringc {

/// What a kernel computes once for a program, whatever the target: scalars, the visibility of a
/// window, elements of views. Emits at the builder's place.
class ScalarCode {
public:
  ScalarCode(mlir::OpBuilder &b, mlir::Location &l, cpu::KernelFrame &f,
             llvm::DenseMap<mlir::Value, mlir::Value> &s)
      : builder(b), loc(l), frame(f), scalars(s) {}

  /// 0 nothing, 1 a part, 2 everything; i32.
  mlir::Value visibility(tile::VisibilityOp op);
  /// Whether anything of a part of its window is visible; i1. Offsets in the window, i32.
  mlir::Value isVisible(tile::VisibilityOp op, mlir::Value query, int64_t queries, mlir::Value key,
                        int64_t keys);
  /// The body of a scalar function. Views among the arguments are the kernel's own.
  mlir::Value call(mlir::func::FuncOp function, llvm::ArrayRef<mlir::Value> arguments);
  /// Replaces what has no scalar form of its own in `op` and its regions.
  void expand(mlir::Operation *made, mlir::IRMapping *mapping, mlir::Operation *original);
  mlir::Value element(tile::ElementOp access);
  /// Operations that a kernel's own code has of scalars and views; false for others.
  bool lower(mlir::Operation *op);
  /// The last index of an axis of a view, i32.
  mlir::Value lastIndex(tile::ViewType type, size_t axis);

private:
  using Value = mlir::Value;

  Value elementOr(tile::ElementOp access);
  Value loadElement(const cpu::KernelFrame::View &view, Value offset);

  struct Range {
    Value first, last; ///< rows, inclusive; last < first where the view ends before
    Value outside;     ///< whether the window reaches outside the view
  };
  Range rangeOf(Value first, int64_t size, llvm::StringRef extent);
  Value visibility(tile::VisibilityOp op, const Range &packedQueries, const Range &keys);

  mlir::OpBuilder &builder;
  mlir::Location &loc;
  cpu::KernelFrame &frame;
  llvm::DenseMap<Value, Value> &scalars;
};

} // namespace ringc
