#pragma once

#include "mlir/IR/Builders.h"

namespace ringc {

/// Functions of one element that no target has an instruction for, as arithmetic: the same for all
/// of them, and so the same bits. Operands are scalars, or vectors of any length. Nothing is
/// called. Beside special values:
///
///     sin, cos        within 1.4 units in the last place, of any finite number
///     exp, log, erf   within 1.1 units in the last place, subnormal numbers included
///     random          exact: tile.random says what
///
/// Null where `op` is none of them.
mlir::Value elementFunction(mlir::OpBuilder &builder, mlir::Location loc, mlir::Operation *op,
                            mlir::ValueRange operands);

} // namespace ringc
