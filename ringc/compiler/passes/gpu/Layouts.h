#pragma once

#include "ringc/compiler/passes/cpu/LaneAnalysis.h"
#include "ringc/compiler/passes/gpu/Fragment.h"
#include "ringc/compiler/passes/gpu/GpuTarget.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"

#include <array>

namespace ringc::gpu {

/// The tile behind transposes, and whether there is an odd number of them.
std::pair<mlir::Value, bool> throughTransposes(mlir::Value tile);

/// How the tiles of a kernel best lie in the registers of a block's threads: which axis is m, what
/// is a matrix, how the warps share it.
///
/// The axis that moves with the program is m; a product whose result has it as columns is computed
/// transposed, so that what comes out of one product is the left operand of the next (dk and dv: p
/// as [keys][queries]).
class Layouts {
public:
  Layouts(mlir::func::FuncOp kernel, const GpuTarget &target);

  const WarpGrid &warps() const { return grid; }
  FragmentLayout of(mlir::Value tile) const;
  /// Of a row or column as such, where products have it as a matrix.
  FragmentLayout ofSingle(mlir::Value tile) const;
  /// How many rows and columns of a tile products read: along m and n of their results what the
  /// warps have in turns, blocks of 16 of what they sum over.
  std::array<int64_t, 2> extentsRead(mlir::Value tile) const;
  /// Whether products read the tile from shared memory, if it is a window of a view.
  static bool goesToShared(tile::LoadOp load) { return isRead(load, /*byProducts=*/true); }
  /// Whether anything else reads it.
  static bool goesToRegisters(tile::LoadOp load) { return isRead(load, /*byProducts=*/false); }

private:
  using Value = mlir::Value;

  static bool isRead(tile::LoadOp load, bool byProducts);
  void findSingleMatrices();
  void chooseTransposed(tile::DotOp dot);
  void chooseWarps(const GpuTarget &target);
  bool isMatrix(Value tile) const;
  int mAxisOf(Value tile) const;
  void setM(FragmentLayout &layout, int64_t extent) const;
  void setN(FragmentLayout &layout, int64_t extent) const;

  mlir::func::FuncOp kernel;
  cpu::LaneAnalysis axes;
  llvm::DenseSet<Value> singleMatrices; ///< single rows and columns that are matrices
  llvm::DenseSet<int> mClasses;
  llvm::DenseSet<std::pair<int, int>> columnsAreM; ///< classes of rows and columns: m is columns
  WarpGrid grid;
};

} // namespace ringc::gpu
