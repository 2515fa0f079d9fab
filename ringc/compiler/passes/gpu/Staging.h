#pragma once

#include "ringc/compiler/passes/gpu/Block.h"
#include "ringc/compiler/passes/gpu/GpuTarget.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/DenseSet.h"

namespace ringc::gpu {

/// The steps of stage-copies, in their order. Each changes a kernel of placed tiles in place.

/// What a block computes of scalars comes first in it, then copies that these are all they need: on
/// their way before anything else is computed.
void startEarly(mlir::func::FuncOp kernel);

/// Windows of a loop's next round are copied during this one, to the other stage of their buffers,
/// where shared memory has room for both.
void copyAhead(mlir::func::FuncOp kernel, const GpuTarget &target);

/// Every buffer gets its place, which blocks one after another have in turn, and stores behind all
/// loops go through memory that has been needed before. Returns the bytes in all.
int64_t allocateShared(mlir::func::FuncOp kernel);

/// Copies are waited for, and threads for each other, where something is read that others write, or
/// written that others may still read.
void placeBarriers(mlir::func::FuncOp kernel);

/// Bytes of shared memory that buffers have from here on.
int64_t sharedTopBefore(mlir::Operation *op);
/// What a buffer takes, and what comes after it begins behind.
int64_t sharedBytesOf(block::BufferOp op);

/// Copies that wait for words, which say what is to be copied.
inline bool isLate(block::CopyOp copy) { return copy.getWhere() || copy.getRows(); }
/// Whether an operation is repeated by a loop around it.
inline bool isInLoop(mlir::Operation *op) {
  return op->getParentOfType<mlir::scf::ForOp>() != nullptr;
}

} // namespace ringc::gpu
