#pragma once

#include "ringc/compiler/passes/gpu/Block.h"
#include "ringc/compiler/passes/gpu/GpuTarget.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/SetVector.h"

namespace ringc::gpu {

/// A window on its way to shared memory: a block.copy, or a tile.load of a column of numbers.
struct CopiedWindow {
  mlir::Value view;
  mlir::ValueRange offsets;
  mlir::Value rows, where;
  std::array<int64_t, 2> extents;

  static CopiedWindow of(mlir::Operation *op);
  bool operator==(const CopiedWindow &other) const {
    return view == other.view && offsets == other.offsets && extents == other.extents;
  }
};

/// What of a loop may be copied a round ahead: the windows that every way through a round reads.
struct CopiesAhead {
  struct Each {
    llvm::SmallVector<mlir::Operation *> names; ///< all that copy this window, a way each
    block::BufferType buffer;
  };

  tile::VisibilityOp visibility; ///< null where every round is visited
  llvm::SmallVector<Each> windows;
  llvm::SetVector<mlir::Operation *> places; ///< of the loop: what says where the windows lie
  mlir::Value where; ///< words: the rows kept of those that leave out some; null: no copy does
  int64_t stageBytes = 0;

  /// Without windows where there are none, or no room for them.
  static CopiesAhead of(mlir::scf::ForOp loop, const GpuTarget &target);
};

/// The branch in which the rows that a copy keeps are computed; null where they are without one.
mlir::scf::IfOp writerOf(mlir::Value words);

} // namespace ringc::gpu
