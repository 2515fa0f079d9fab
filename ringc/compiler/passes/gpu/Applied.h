#pragma once

#include "ringc/compiler/passes/gpu/MaskRuns.h"
#include "ringc/compiler/passes/gpu/Masks.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace ringc::gpu {

/// A mask or score whose function's arguments become known bit by bit, and what has been computed
/// of it. A copy goes on from there.
class Masks::Applied {
public:
  /// Which function, and where.
  struct At {
    mlir::func::FuncOp function;
    bool hasOperand; ///< a score has the number that it changes
    Value queryPositions, queryRow, keyPositions, keyRow;
    mlir::ValueRange parameters;
  };
  static At placeOf(tile::ApplyOp op);
  static At placeOf(block::ShareSeenOp op);

  Applied(Masks &owner, const At &given);

  /// i32, from the start of the tile.
  void placeQuery(Value query);
  void placeKey(Value key);
  void placeOperand(Value operand) { terms[function.getArgument(0)] = operand; }
  /// A value of the function; the arguments that it needs are known.
  Value valueOf(Value value);
  Value result() { return valueOf(returned()); }

  Value returned() { return function.front().getTerminator()->getOperand(0); }
  Value argument(FunctionArgument which) {
    return function.getArgument((place.hasOperand ? 1 : 0) + which);
  }
  mlir::ValueRange parameters() {
    return function.getArguments().drop_front((place.hasOperand ? 1 : 0) + Count);
  }

  Masks &lowering;
  At place;
  mlir::func::FuncOp function;

private:
  void set(FunctionArgument which, llvm::function_ref<Value()> value);
  Value heldInside(Value row, Value count);
  Value element(tile::ElementOp access);

  bool readsAtRows; ///< memory, at i, j or the rows, which must be inside
  llvm::DenseMap<Value, Value> terms;
  llvm::DenseMap<Value, const cpu::KernelFrame::View *> views;
};

/// Where a mask holds: for each m a run of rows along n, one comparison an element, and element by
/// element what does not bound n's position. Positions rise with the rows in every layout, so that
/// bounds of positions are bounds of rows.
class Masks::VisibleRows {
public:
  VisibleRows(const Applied &mask, bool alongKeys);
  /// Whether the query sees the key at the thread's m and n, whose coordinates (i32) count from the
  /// start of the tile.
  Value at(int64_t m, Value mCoordinate, Value nCoordinate);
  /// Where runs are all there is to the mask: whether m's has a row of the tile, which has so many.
  Value meets(int64_t m, Value mCoordinate, int64_t extent);

private:
  /// Rows along n; positions less the first row's, until they are turned into rows.
  struct Run {
    Value first; ///< i32; null: the first there is
    Value end;   ///< i32; null: behind the last there is
  };
  struct OfM {
    Applied mask; ///< m is placed
    Run run;
  };
  using Predicate = MaskRuns::Predicate;
  using Distance = MaskRuns::Distance;

  Run runOf(Applied &ofM, Value condition, llvm::DenseMap<Value, Run> &known);
  Run runOf(Applied &ofM, Distance distance, Predicate predicate, Value limit);
  Run joined(Run a, Run b, bool narrows) const;
  Value rowsBefore(Value position);
  const OfM &ofM(int64_t m, Value coordinate);

  Value smaller(Value a, Value b) const;
  Value larger(Value a, Value b) const;
  Value select(Value condition, Value a, Value b) const;

  Applied mask;
  Masks &lowering;
  bool alongKeys;
  MaskRuns conditions;
  const cpu::KernelFrame::Positions &positions; ///< of n
  Value count, firstRow, last;                  ///< of n: rows of the view, the tile's first, the
                                                ///< last one's position
  llvm::DenseMap<int64_t, OfM> runs;
};

} // namespace ringc::gpu
