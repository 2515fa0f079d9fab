#pragma once

#include "ringc/compiler/dialect/Tile.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

namespace ringc::gpu {

/// The branch that `where` comes from, if all rows are kept otherwise and nothing but loads needs
/// it.
mlir::scf::IfOp rowsKeptBranch(mlir::Value where);

/// The mask of a tile, where `rows` are those of its columns that any of its rows sees. Null for
/// anything else.
tile::ApplyOp maskBehind(mlir::Value rows);

/// Whether a mask within a branch is one run of queries for each key, at a place that is known
/// before the branch.
bool isOneRun(tile::ApplyOp mask, mlir::scf::IfOp branch);

} // namespace ringc::gpu
