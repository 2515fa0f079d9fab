#pragma once

#include "ringc/compiler/passes/gpu/GpuTarget.h"
#include "ringc/compiler/spec/CompiledKernel.h"

#include "mlir/Pass/Pass.h"

#include <memory>

namespace ringc {

/// A pass over a module: its kernel of tiles, specialised and with its loops split, becomes one
/// llvm.func with the attributes nvvm.kernel and nvvm.reqntid, in the LLVM and NVVM dialects; scf,
/// arith, math and vector may remain. `kernel` is what interfaceOf says of the kernel; the pass
/// fills in `threads`, `sharedBytes` and `carryBytes`. It must outlive the pass.
std::unique_ptr<mlir::Pass> createLowerToNvvmPass(const GpuTarget &target, CompiledKernel &kernel);

} // namespace ringc
