#pragma once

#include "ringc/compiler/passes/gpu/Thread.h"

namespace ringc::gpu {

/// Lowers one kernel of staged tiles to the threads of a block (compute capability 8.0 and later),
/// an operation at a time: here control flow and waiting, elsewhere by the room of an operation.
class Lowering : Thread {
public:
  explicit Lowering(ThreadCode &ofCode) : Thread(ofCode) {}

  /// Emits the entry and returns it, or reports an error at the operation that cannot be lowered.
  mlir::FailureOr<mlir::func::FuncOp> run();
  using Thread::threads;
  int64_t carryBytes() const { return frame.carryBytesNeeded(); }
  /// Numbers that a thread holds at least, in its largest loop.
  int64_t sumsOfThread() const;

private:
  LogicalResult lowerBlock(mlir::Block &block);
  LogicalResult lower(mlir::Operation *op);
  LogicalResult lowerScalar(mlir::Operation *op);
  void place(block::BufferOp op);
  void ready(block::ReadyOp op);
  LogicalResult lowerVisibleRounds(block::VisibleRoundsOp op);

  // Regions.cpp: loops, branches, carries
  LogicalResult lowerFor(mlir::scf::ForOp loop);
  LogicalResult lowerSwitch(mlir::scf::IndexSwitchOp choice);
  LogicalResult lowerIf(mlir::scf::IfOp branch);
  LogicalResult lowerWays(mlir::Operation *from, mlir::Operation *made);
  /// The numbers that a thread has of tiles and scalars, in the layouts of `like`.
  mlir::FailureOr<llvm::SmallVector<llvm::SmallVector<Value>>>
  numbersOf(mlir::ValueRange values, mlir::ValueRange like, mlir::Operation *user);
  void setNumbers(Value of, llvm::ArrayRef<Value> numbers);
  Value expected(Value condition);
  LogicalResult lowerResume(tile::ResumeOp op);
  LogicalResult lowerFinish(tile::FinishOp op);
  Value carryPointer(tile::CarryType, Value carry, int64_t offset, const FragmentLayout &layout,
                     int64_t element);
};

} // namespace ringc::gpu
