#pragma once

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace ringc {

/// A scalar and its derivative with respect to s; a null slope is zero.
struct Dual {
  mlir::Value value;
  mlir::Value slope;
};

/// Copies a scalar function together with its derivative: forward-mode differentiation, one
/// operation after another.
///
///     %p = math.tanh %x     ->     %p = math.tanh %x;  %dp = (1 - %p * %p) * %dx
///
/// Where a function has a kink (min, max, abs, a choice by ? :) the slope is that of the branch
/// taken; at 0, abs has slope 0. Integers and conditions are constant. A call is differentiated
/// through, unless the callee names its own derivative with respect to its first argument
/// (`tile.derivative`).
class ForwardMode {
public:
  /// The copy is written where `builder` stands.
  explicit ForwardMode(mlir::OpBuilder &opBuilder) : builder(opBuilder) {}

  /// The function's result. Reports an operation that has no derivative here, recursion, and too
  /// many operations.
  mlir::FailureOr<Dual> run(mlir::func::FuncOp function, llvm::ArrayRef<Dual> arguments);

private:
  mlir::FailureOr<Dual> call(mlir::func::CallOp call, llvm::ArrayRef<Dual> arguments);
  mlir::FailureOr<mlir::Value> slopeOf(mlir::Operation *copy, llvm::ArrayRef<mlir::Value> slopes);

  mlir::OpBuilder &builder;
  int depth = 0;
  int operations = 0;
};

} // namespace ringc
