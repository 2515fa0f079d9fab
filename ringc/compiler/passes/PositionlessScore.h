#pragma once

#include "mlir/IR/PatternMatch.h"

namespace ringc {

/// Replaces the application of a score that reads neither positions nor views by its body on tiles.
/// A score and its derivative then share what they have in common, and factors combine with those
/// around them.
void addPositionlessScore(mlir::RewritePatternSet &patterns);

} // namespace ringc
