#pragma once

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/DenseMap.h"

#include <optional>
#include <tuple>

namespace ringc::gpu {

/// Arguments that every mask and score has, a score behind the number that it changes: positions
/// are global, rows local.
enum FunctionArgument : unsigned {
  Batch,
  Head,
  QueryPosition,
  KeyPosition,
  QueryRow,
  KeyRow,
  Count
};

/// What of a mask bounds the positions of one axis, n: for each m these conditions hold for a run
/// of rows along n.
class MaskRuns {
public:
  using Predicate = mlir::arith::CmpIPredicate;
  /// How far n's position lies behind m's, or behind 0; or m's behind n's.
  struct Distance {
    bool fromM, reversed;
  };

  /// n counts keys, or queries.
  MaskRuns(mlir::func::FuncOp mask, bool alongKeys);

  /// Conditions that all hold where the mask does: those that bound n's position, and others.
  llvm::ArrayRef<mlir::Value> bounding() const { return runs; }
  llvm::ArrayRef<mlir::Value> others() const { return rest; }
  /// Whether runs are all there is to the mask.
  bool areAll() const { return rest.empty(); }
  /// Whether a value is not the same for all n.
  bool varies(mlir::Value value);
  /// Distance, comparison, limit: where n's position is on one side alone.
  std::optional<std::tuple<Distance, Predicate, mlir::Value>> boundOf(mlir::Value condition);

private:
  using Value = mlir::Value;
  /// Which ends a condition bounds.
  struct Sides {
    bool first, end;
  };

  Value argument(FunctionArgument which) { return function.getArgument(which); }
  std::optional<Distance> distanceOf(Value value);
  std::optional<Sides> sidesOf(Value condition);
  void addConjuncts(Value condition);

  mlir::func::FuncOp function;
  bool alongKeys;
  llvm::SmallVector<Value> runs, rest;
  llvm::DenseMap<Value, bool> variesOf;
  llvm::DenseMap<Value, std::optional<Sides>> sides;
};

} // namespace ringc::gpu
