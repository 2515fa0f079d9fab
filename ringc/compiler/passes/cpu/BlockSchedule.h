#pragma once

#include "ringc/compiler/passes/cpu/Lowering.h"

namespace ringc::cpu {

/// When each operation of a block runs, which tiles must exist in memory, in which formats and how
/// long.
///
/// A phase is a point in time. Elementwise operations of one shape share a phase as long as none
/// needs the outcome of a product, a reduction or another shape; a product, a window and a loop
/// each wait for what they read. Tiles that only their own phase reads stay in registers; a cheap
/// one that a later phase reads is computed again there rather than stored.
class BlockSchedule {
public:
  /// `owners` are the loop-carried values whose buffers (`destinations`) the block's results go to;
  /// null where there is none.
  BlockSchedule(Lowering &lowering, mlir::Block &block, llvm::ArrayRef<mlir::Value> owners,
                llvm::ArrayRef<Buffer> destinations);

  int phases() const { return last + 1; }
  llvm::ArrayRef<mlir::Operation *> operations() const { return tileOps; }
  int phaseOf(mlir::Operation *op) const { return phase.lookup(op); }
  bool isElementwise(mlir::Operation *op) const;

  /// The formats in which `tile`, made in this block, must exist in memory; none: registers only.
  llvm::ArrayRef<Format> formatsOf(mlir::Value tile) const;
  int lastUse(mlir::Value tile) const { return lastUses.lookup(tile); }
  /// Where the block's result `tile` may be made directly, in place of the loop-carried value that
  /// it follows.
  const Buffer *destinationOf(mlir::Value tile) const;
  /// For a region operation: the owner and destination to hand down for result `index`, when that
  /// is safe.
  std::pair<mlir::Value, const Buffer *> handedDown(mlir::Operation *op, unsigned index) const;

private:
  using Value = mlir::Value;
  void assignPhases();
  void collectUses();
  void addUse(Value tile, int at);
  void require(Value tile, Format format);
  void useElementwise(Value tile, mlir::Operation *user, int at);
  bool isCheap(Value tile, int depth) const;
  void extendLeaves(Value tile, int at);
  void chooseDestinations();
  /// Phase of the operation of this block that holds `user`, or in which its window is read.
  int phaseIn(mlir::Operation *user) const;

  Lowering &lowering;
  mlir::Block &block;
  llvm::ArrayRef<Value> owners;
  llvm::ArrayRef<Buffer> destinations;
  llvm::SmallVector<mlir::Operation *> tileOps;
  llvm::DenseMap<mlir::Operation *, int> phase;
  llvm::DenseMap<Value, llvm::SmallVector<Format, 2>> formats;
  llvm::DenseMap<Value, int> lastUses;
  llvm::DenseMap<Value, int> extendedTo;  ///< the last phase that extendLeaves was asked for
  llvm::DenseMap<Value, int> destination; ///< index into destinations
  int last = 0;
};

} // namespace ringc::cpu
