#pragma once

#include "ringc/compiler/passes/gpu/Lowering.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace ringc::gpu {

/// A mask or score whose function's arguments become known bit by bit, and what has been computed
/// of it. A copy goes on from there.
class Lowering::Applied {
public:
  Applied(Lowering &owner, tile::ApplyOp applied);

  /// i32, from the start of the tile.
  void placeQuery(Value query);
  void placeKey(Value key);
  void placeOperand(Value operand) { terms[function.getArgument(0)] = operand; }
  /// A value of the function; the arguments that it needs are known.
  Value valueOf(Value value);
  Value result() { return valueOf(returned()); }

  Value returned() { return function.front().getTerminator()->getOperand(0); }
  /// Arguments that every mask and score has: positions are global, rows local.
  enum Argument : unsigned { Batch, Head, QueryPosition, KeyPosition, QueryRow, KeyRow, Count };
  Value argument(Argument which) { return function.getArgument((op.getOperand() ? 1 : 0) + which); }
  mlir::ValueRange parameters() {
    return function.getArguments().drop_front((op.getOperand() ? 1 : 0) + Count);
  }

  Lowering &lowering;
  tile::ApplyOp op;
  mlir::func::FuncOp function;

private:
  void set(Argument which, llvm::function_ref<Value()> value);
  Value heldInside(Value row, Value count);
  Value element(tile::ElementOp access);

  bool readsAtRows; ///< memory, at i, j or the rows, which must be inside
  llvm::DenseMap<Value, Value> terms;
  llvm::DenseMap<Value, const cpu::KernelFrame::View *> views;
};

/// Where a mask holds: for each m a run of rows along n, one comparison an element, and element by
/// element what does not bound n's position. Positions rise with the rows in every layout, so that
/// bounds of positions are bounds of rows.
class Lowering::VisibleRows {
public:
  VisibleRows(const Applied &mask, bool alongKeys);
  /// Whether the query sees the key at the thread's m and n, whose coordinates (i32) count from the
  /// start of the tile.
  Value at(int64_t m, Value mCoordinate, Value nCoordinate);
  /// Whether the runs are all there is to the mask.
  bool areRuns() const { return others.empty(); }
  /// Then, whether m's run has a row of the tile, which has so many.
  Value meets(int64_t m, Value mCoordinate, int64_t extent);

private:
  /// Rows along n; positions less the first row's, until they are turned into rows.
  struct Run {
    Value first; ///< i32; null: the first there is
    Value end;   ///< i32; null: behind the last there is
  };
  /// Which ends a condition bounds.
  struct Sides {
    bool first, end;
  };
  /// How far n's position lies behind m's, or behind 0; or m's behind n's.
  struct Distance {
    bool fromM, reversed;
  };
  struct OfM {
    Applied mask; ///< m is placed
    Run run;
  };
  using Predicate = mlir::arith::CmpIPredicate;

  bool varies(Value value);
  std::optional<Distance> distanceOf(Value value);
  /// Distance, comparison, limit: where n's position is on one side alone.
  std::optional<std::tuple<Distance, Predicate, Value>> boundOf(Value condition);
  std::optional<Sides> sidesOf(Value condition);
  void addConjuncts(Value condition);
  Run runOf(Applied &ofM, Value condition, llvm::DenseMap<Value, Run> &known);
  Run runOf(Applied &ofM, Distance distance, Predicate predicate, Value limit);
  Run joined(Run a, Run b, bool narrows) const;
  Value rowsBefore(Value position);
  const OfM &ofM(int64_t m, Value coordinate);

  Value smaller(Value a, Value b) const;
  Value larger(Value a, Value b) const;
  Value select(Value condition, Value a, Value b) const;

  Applied mask;
  Lowering &lowering;
  bool alongKeys;
  const cpu::KernelFrame::Positions &positions; ///< of n
  Value count, firstRow, last;                  ///< of n: rows of the view, the tile's first, the
                                                ///< last one's position
  llvm::SmallVector<Value> bounding, others;
  llvm::DenseMap<Value, bool> variesOf;
  llvm::DenseMap<Value, std::optional<Sides>> sides;
  llvm::DenseMap<int64_t, OfM> runs;
};

} // namespace ringc::gpu
