#pragma once

#include "ringc/compiler/passes/gpu/Block.h"
#include "ringc/compiler/passes/gpu/Layouts.h"
#include "ringc/compiler/passes/gpu/Reductions.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"

namespace ringc::gpu {

/// The walk of place-tiles over a kernel: layouts are written down, operations replaced by those
/// that say where their tiles lie.
class Placement {
public:
  Placement(mlir::func::FuncOp ofKernel, const GpuTarget &target)
      : kernel(ofKernel), layouts(ofKernel, target), grid(layouts.warps()), builder(ofKernel) {}

  mlir::LogicalResult run() {
    block::setWarps(kernel, grid);
    writeLayouts();
    findOperands();
    if (mlir::failed(place(kernel.front())))
      return mlir::failure();
    eraseUnread();
    return mlir::success();
  }

private:
  using Value = mlir::Value;

  void writeLayouts();
  void findOperands();
  void eraseUnread();
  void replace(mlir::Operation *op, Value by);
  mlir::LogicalResult place(mlir::Block &block);
  mlir::LogicalResult place(mlir::Operation *op);
  mlir::LogicalResult placeLoad(tile::LoadOp load);
  mlir::LogicalResult copy(tile::LoadOp load);
  void placeStore(tile::StoreOp store);
  mlir::LogicalResult placeProduct(tile::DotOp dot);
  mlir::LogicalResult placeReduce(tile::ReduceOp op);
  mlir::FailureOr<Value> collapsed(Value tile, mlir::Operation *user);

  struct RowsKept {
    Value words, condition; ///< no condition: always valid
  };
  mlir::FailureOr<RowsKept> rowsKept(Value where, int64_t count);
  Value namedBy(Value rows);
  Value share(Value tile);
  Value words(int64_t count) {
    return block::BufferOp::create(
               builder, loc, mlir::TypeRange{block::WordsType::get(builder.getContext(), count)})
        .getResult(0);
  }
  Value buffer(const SharedTile &place, mlir::Type element) {
    return block::BufferOp::create(builder, loc, mlir::TypeRange{block::typeOf(place, element)})
        .getResult(0);
  }
  /// Words in which warps exchange so many numbers of each thread.
  Value exchange(int64_t count, bool overM) {
    return words(grid.warps() * groupsOfWarp(overM) * count);
  }
  bool severalWarps(bool overM) const { return (overM ? grid.m : grid.n) > 1; }
  /// The layout of the registers that hold a tile: what is broadcast is not repeated.
  FragmentLayout held(Value tile) const;
  /// Each tile is looked at once: one that is read in many places is reached on many ways.
  FragmentLayout held(Value tile, llvm::DenseMap<Value, FragmentLayout> &known) const;

  mlir::func::FuncOp kernel;
  Layouts layouts;
  WarpGrid grid;
  mlir::OpBuilder builder;
  mlir::Location loc = kernel.getLoc();
  llvm::DenseMap<Value, std::array<int64_t, 2>> extentsRead; ///< of products' operands
  llvm::DenseSet<Value> readFromShared;                      ///< by products, where computed
  llvm::DenseMap<Value, Value> buffers;                      ///< of tiles
  llvm::DenseMap<Value, Value> named;                        ///< words, by the column of rows
};

} // namespace ringc::gpu
