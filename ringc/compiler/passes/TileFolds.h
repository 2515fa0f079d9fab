#pragma once

#include "mlir/IR/PatternMatch.h"

namespace ringc {

/// What is known of tiles of one value: a splat of a constant is a constant; broadcasts and
/// transposes of splats, and broadcasts to the same type, go away.
void addTileFolds(mlir::RewritePatternSet &patterns);

} // namespace ringc
