#pragma once

#include "ringc/compiler/spec/CompiledKernel.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"

namespace ringc {

/// The kernel of a module: its one function with the attribute `tile.kernel`, or null.
mlir::func::FuncOp kernelOf(mlir::ModuleOp module);

/// Name, arguments with their slots, grid and heads of a kernel, read off its tile function: first
/// the function's own arguments, then every named extent. Code, scratch and carry are for the
/// target's lowering to fill in.
CompiledKernel interfaceOf(mlir::func::FuncOp kernel);

} // namespace ringc
