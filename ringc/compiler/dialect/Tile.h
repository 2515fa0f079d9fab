#pragma once

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace ringc::tile {

/// A tile is a ranked tensor of rank 2 and static shape.
bool isTile(mlir::Type type);

} // namespace ringc::tile

#include "ringc/compiler/dialect/TileDialect.h.inc"
#include "ringc/compiler/dialect/TileEnums.h.inc"
#define GET_TYPEDEF_CLASSES
#include "ringc/compiler/dialect/TileTypes.h.inc"
#define GET_OP_CLASSES
#include "ringc/compiler/dialect/Tile.h.inc"
