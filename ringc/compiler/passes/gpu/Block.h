#pragma once

#include "ringc/compiler/dialect/Tile.h"
#include "ringc/compiler/passes/gpu/Fragment.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"

#include "ringc/compiler/passes/gpu/BlockDialect.h.inc"
#include "ringc/compiler/passes/gpu/BlockEnums.h.inc"
#define GET_ATTRDEF_CLASSES
#include "ringc/compiler/passes/gpu/BlockAttributes.h.inc"
#define GET_TYPEDEF_CLASSES
#include "ringc/compiler/passes/gpu/BlockTypes.h.inc"
#define GET_OP_CLASSES
#include "ringc/compiler/passes/gpu/Block.h.inc"

namespace ringc::block {

/// The layout that place-tiles has written down for a tile.
gpu::FragmentLayout layoutOf(mlir::Value tile);
void setLayouts(mlir::Operation *op, llvm::ArrayRef<gpu::FragmentLayout> layouts);

/// How the warps of a kernel's block share its products.
gpu::WarpGrid warpsOf(mlir::func::FuncOp kernel);
void setWarps(mlir::func::FuncOp kernel, const gpu::WarpGrid &grid);

/// Where the parts of a buffer lie; the offset is none of the type's.
gpu::SharedTile placeOf(BufferType type);
BufferType typeOf(const gpu::SharedTile &place, mlir::Type element);
int64_t bytesOf(mlir::Type memory);

} // namespace ringc::block
