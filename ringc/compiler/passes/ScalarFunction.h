#pragma once

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace ringc {

/// On a score: the function to take for its derivative with respect to s.
inline constexpr llvm::StringLiteral derivativeAttr = "tile.derivative";

/// A bound on the size of a mask or a score once its calls are inlined, which may double at every
/// level.
inline constexpr int maxScalarOperations = 20000;

/// One block that ends in the return of one value, every operation before it with one result and no
/// region.
bool isScalarFunction(mlir::func::FuncOp function);

/// Erases what the function's result does not need.
void eraseUnused(mlir::func::FuncOp function);

/// The function that `derivativeAttr` on `function` names; an error where there is none, or not of
/// the same type.
mlir::FailureOr<mlir::func::FuncOp> givenDerivative(mlir::func::FuncOp function);

/// Replaces every call of a scalar function in the module by the body. Reports recursion and
/// functions that grow beyond maxScalarOperations.
mlir::LogicalResult inlineScalarFunctions(mlir::Operation *module);

} // namespace ringc
