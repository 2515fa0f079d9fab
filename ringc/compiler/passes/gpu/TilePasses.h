#pragma once

#include "mlir/Pass/Pass.h"

#include <memory>

namespace ringc {

/// Passes over tiles that pay where a tile is spread over the registers of a block's threads.
std::unique_ptr<mlir::Pass> createMaxBeforeScalePass();

} // namespace ringc
