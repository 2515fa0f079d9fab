#pragma once

#include "ringc/compiler/irgen/Bindings.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"

namespace ringc {

/// The kernel in the tile dialect, with its constants replaced and its masks and scores as scalar
/// functions beside it. Every operation's location points into the .tile source. The program is
/// without errors, the bindings are complete (see `bind`).
///
/// Arguments are the kernel's parameters and then those of its masks and scores, named
/// `function.parameter`.
mlir::OwningOpRef<mlir::ModuleOp> generate(const frontend::KernelDecl &kernel,
                                           const frontend::Program &program,
                                           const Bindings &bindings, mlir::MLIRContext *context);

} // namespace ringc
