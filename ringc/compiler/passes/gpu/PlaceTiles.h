#pragma once

#include "ringc/compiler/passes/gpu/GpuTarget.h"

#include "mlir/Pass/Pass.h"

#include <memory>

namespace ringc {

/// A pass over a module: every tile of its kernel gets a layout in registers or a place in shared
/// memory. What the kernel takes and writes (CompiledKernel without its code) is read off the tiles
/// before, and left as JSON in the module's attribute tile.interface.
std::unique_ptr<mlir::Pass> createPlaceTilesPass(const GpuTarget &target);

} // namespace ringc
