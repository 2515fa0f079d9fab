#pragma once

#include "ringc/compiler/dialect/Tile.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace ringc {

/// The function that `tile.visibility` calls for `mask`, @<mask>.visibility; made where the module
/// does not have it yet.
///
/// It is the interval evaluator of ringc/compiler/predicate run over SSA values: 0 where no element
/// of the box is visible, 2 where all are, 1 otherwise and where it cannot be told. A mask with no
/// expression gives 1. Views are read where every index is b, h, a row or a constant: then the
/// bounds of the window's elements are found by a loop over them.
mlir::func::FuncOp visibilityFunctionOf(mlir::func::FuncOp mask);

/// The mask that a visibility function was made for; nothing where it was written by hand.
mlir::FlatSymbolRefAttr maskSeenBy(tile::VisibilityOp visibility);

} // namespace ringc
