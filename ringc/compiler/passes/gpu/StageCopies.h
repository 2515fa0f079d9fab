#pragma once

#include "ringc/compiler/passes/gpu/GpuTarget.h"

#include "mlir/Pass/Pass.h"

#include <memory>

namespace ringc {

/// A pass over a module: when the copies of its kernel are started and waited for, where in shared
/// memory buffers lie, which threads wait for which.
std::unique_ptr<mlir::Pass> createStageCopiesPass(const GpuTarget &target);

} // namespace ringc
