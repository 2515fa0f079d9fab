#pragma once

#include "ringc/compiler/passes/gpu/GpuTarget.h"

#include "mlir/Pass/Pass.h"

#include <memory>

namespace ringc {

/// A pass over a module: its kernel of tiles, staged, becomes one llvm.func with the attributes
/// nvvm.kernel and nvvm.reqntid, in the LLVM and NVVM dialects; scf, arith, math and vector may
/// remain. Of the module's attribute tile.interface the pass fills in `threads`, `sharedBytes` and
/// `carryBytes`.
std::unique_ptr<mlir::Pass> createLowerToNvvmPass(const GpuTarget &target);

} // namespace ringc
