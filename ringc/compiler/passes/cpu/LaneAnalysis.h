#pragma once

#include "ringc/compiler/dialect/Tile.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/DenseMap.h"

namespace ringc::cpu {

/// Which axis of each tile runs along vector lanes.
///
/// The axes of a kernel's tiles fall into classes: an elementwise operation identifies the axes of
/// its operands, a product identifies rows with rows and columns with columns. The lanes are the
/// axis whose class is the program's own window (`program_id * step`, the last grid axis first),
/// because what is indexed by it does not change in the program's loops: for attention over a tile
/// of queries
///
///     s[q, k] = dot(q[q, d], k[k, d]^T)       lanes along q; q is laid out once as [d][q]; k is
///     read as it lies, one scalar at a time acc[q, e] += dot(p[q, k], v[k, e])      lanes along q;
///     p comes out of the softmax as [k][q]; v is read as it lies
///
/// so that row maxima and sums are lane-wise and no streamed tile is ever transposed. Tiles without
/// such an axis are row-major.
///
/// A window far shorter than a vector would leave most of its lanes idle, so there the other axis
/// runs along them: for attention of four queries (a decode) and vectors of sixteen
///
///     s[q, k] = dot(q[q, d], k[k, d]^T)       lanes along k, which is turned by squares; q is read
///     scalar by scalar acc[q, e] += dot(p[q, k], v[k, e])      lanes along e; v is read as it lies
class LaneAnalysis {
public:
  /// Whether a constant that several tiles start from makes their axes one and the same.
  enum class Constants { Identify, Ignore };

  /// `lanes` of a vector; with one, no window is too short.
  explicit LaneAnalysis(mlir::func::FuncOp kernel, Constants constants = Constants::Identify,
                        int64_t lanes = 1);

  /// 0: rows run along the lanes; 1: columns do. A column tile has 0, a row tile 1.
  int laneAxis(mlir::Value tile) const;

  /// 1 + the grid axis that moves an axis of the tile; 0 where none does.
  int gridMark(mlir::Value tile, int axis) const;
  /// Equal for axes that are one and the same to the kernel; -1 where nothing is known.
  int classOf(mlir::Value tile, int axis) const;

private:
  int axisClass(mlir::Value tile, int axis);
  int find(int id) const;
  void identify(mlir::Value a, int axisOfA, mlir::Value b, int axisOfB);
  void identifyAll(mlir::Value a, mlir::Value b);
  void visit(mlir::Operation *op);
  void markWindow(mlir::Value tile, mlir::ValueRange offsets);

  Constants ofConstants;
  int64_t lanesOfVector;
  llvm::DenseMap<mlir::Value, int> first; ///< id of axis 0 of a tile; axis 1 is the next
  mutable std::vector<int> parent;
  std::vector<int> grid; ///< per class root: 1 + the grid axis that moves it, 0 none
};

} // namespace ringc::cpu
