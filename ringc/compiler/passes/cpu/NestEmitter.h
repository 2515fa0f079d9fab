#pragma once

#include "ringc/compiler/passes/cpu/Lowering.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

namespace ringc::cpu {

/// One loop nest over all elements of a shape: rows outside, lanes inside, a few vectors of a row
/// at a time.
///
/// `outputs` are elementwise tiles and where to put them; `reductions` reduce an elementwise tile
/// of the shape to a line. What they depend on is computed in registers down to the tiles that have
/// buffers. Values that do not depend on the row are computed once for all rows.
class NestEmitter {
public:
  struct Output {
    mlir::Value tile;
    llvm::SmallVector<Buffer, 2> to;
    bool readAsZero = false; ///< in the rows that are left out
  };
  struct Reduction {
    tile::ReduceOp op;
    Buffer to;
  };

  /// `shape` is any tile of the nest's shape; a column or a row tile makes a nest of one row. The
  /// rows that are not `visible` to a granule of lanes are left out.
  NestEmitter(Lowering &lowering, mlir::Value shape,
              std::optional<Lowering::VisibleRanges> visible);
  /// `asks`: for Lowering::nextWindows, row by row; the nest must be one loop.
  void emit(llvm::ArrayRef<Output> outputs, llvm::ArrayRef<Reduction> reductions,
            bool asks = false);

  /// Whether a nest of full rows of this tile runs once over them, all lanes of a row at a time.
  static bool isOneLoop(Lowering &lowering, mlir::Value shape);

private:
  using Value = mlir::Value;
  /// A value inside the nest: for one row and one vector of lanes; `perRow` when it changes from
  /// row to row; a scalar holds for all lanes.
  struct Term {
    Value value;
    bool perRow = false;
    bool isVector() const { return mlir::isa<mlir::VectorType>(value.getType()); }
  };
  struct Place { ///< where code goes: before the loop over rows, or in it
    mlir::Block *block;
    mlir::Block::iterator point;
  };

  void emitLanes(Value laneStart, llvm::ArrayRef<Output> outputs,
                 llvm::ArrayRef<Reduction> reductions);
  Term evaluate(Value tile, int vector);
  Term compute(Value tile, int vector);
  Term fromBuffer(const Buffer &buffer, Value tile, int vector);
  Term apply(tile::ApplyOp op, int vector);
  /// 0, 1, 2, ... or positions of a column or row, which run along the lanes.
  Term counted(mlir::Operation *op, int vector);
  /// The operation on terms: scalar where all are, else on vectors; hoisted where no term is per
  /// row.
  Term elementwise(mlir::Operation *op, llvm::ArrayRef<Term> operands);
  Term element(const KernelFrame::View &view, llvm::ArrayRef<Term> indices);
  Value asVector(Term term);
  Term hoistable(bool perRow, llvm::function_ref<Value()> make);
  Value laneOffset(int vector);
  void store(Value vector, Value next, const Buffer &to, int vectorIndex);
  void storeZeros(Value firstRow, Value endRow, llvm::ArrayRef<Output> outputs);
  /// i32 vector `first, first + 1, ...` of the lanes of `vector`.
  Value rowsOfLanes(Value first, int vector);
  Term position(const KernelFrame::Positions &positions, Term row);
  template <typename Op> Term binary(Term a, Term b);
  Term compare(mlir::arith::CmpIPredicate predicate, Term a, Term b);
  Term select(Term condition, Term a, Term b);

  Lowering &lowering;
  mlir::OpBuilder &builder;
  KernelFrame &frame;
  mlir::Location loc;
  mlir::RankedTensorType shape;
  int laneAxis;
  bool line; ///< one row
  int64_t rows, laneCount, stride, width, vectors;
  std::optional<Lowering::VisibleRanges> visible; ///< of lanes
  bool asksAhead = false;
  Value laneStart, row;                   ///< i64
  mlir::Operation *hoistBefore = nullptr; ///< the loop over rows
  llvm::DenseMap<std::pair<Value, int>, Term> hoisted, perRow;
};

} // namespace ringc::cpu
