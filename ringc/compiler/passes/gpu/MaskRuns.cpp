#include "ringc/compiler/passes/gpu/MaskRuns.h"

#include "llvm/ADT/DenseSet.h"

using namespace mlir;
using namespace ringc;
using namespace ringc::gpu;

MaskRuns::MaskRuns(func::FuncOp mask, bool keys) : function(mask), alongKeys(keys) {
  addConjuncts(mask.front().getTerminator()->getOperand(0));
}

bool MaskRuns::varies(Value value) {
  if (isa<BlockArgument>(value)) {
    if (alongKeys)
      return value == argument(KeyPosition) || value == argument(KeyRow);
    return value == argument(QueryPosition) || value == argument(QueryRow) ||
           value == argument(Head);
  }
  if (auto known = variesOf.find(value); known != variesOf.end())
    return known->second;
  bool any = llvm::any_of(value.getDefiningOp()->getOperands(),
                          [&](Value operand) { return varies(operand); });
  return variesOf[value] = any;
}

std::optional<MaskRuns::Distance> MaskRuns::distanceOf(Value value) {
  Value ofN = argument(alongKeys ? KeyPosition : QueryPosition);
  Value ofM = argument(alongKeys ? QueryPosition : KeyPosition);
  if (value == ofN)
    return Distance{false, false};
  auto difference = value.getDefiningOp<arith::SubIOp>();
  if (difference && difference.getLhs() == ofN && difference.getRhs() == ofM)
    return Distance{true, false};
  if (difference && difference.getLhs() == ofM && difference.getRhs() == ofN)
    return Distance{true, true};
  return std::nullopt;
}

static arith::CmpIPredicate swapped(arith::CmpIPredicate predicate) {
  using enum arith::CmpIPredicate;
  switch (predicate) {
  case slt:
    return sgt;
  case sle:
    return sge;
  case sgt:
    return slt;
  case sge:
    return sle;
  default:
    return predicate;
  }
}

std::optional<std::tuple<MaskRuns::Distance, arith::CmpIPredicate, Value>>
MaskRuns::boundOf(Value condition) {
  using enum arith::CmpIPredicate;
  auto comparison = condition.getDefiningOp<arith::CmpIOp>();
  if (!comparison || !llvm::is_contained({slt, sle, sgt, sge}, comparison.getPredicate()))
    return std::nullopt;
  Value lhs = comparison.getLhs(), rhs = comparison.getRhs();
  if (std::optional<Distance> distance = distanceOf(lhs); distance && !varies(rhs))
    return std::tuple(*distance, comparison.getPredicate(), rhs);
  if (std::optional<Distance> distance = distanceOf(rhs); distance && !varies(lhs))
    return std::tuple(*distance, swapped(comparison.getPredicate()), lhs);
  return std::nullopt;
}

/// Nothing where the condition does not hold for one run of rows.
std::optional<MaskRuns::Sides> MaskRuns::sidesOf(Value condition) {
  if (auto known = sides.find(condition); known != sides.end())
    return known->second;
  auto find = [&]() -> std::optional<Sides> {
    if (!varies(condition))
      return Sides{false, true};
    if (auto bound = boundOf(condition)) {
      auto [distance, predicate, limit] = *bound;
      bool below = predicate == Predicate::slt || predicate == Predicate::sle;
      return Sides{below == distance.reversed, below != distance.reversed};
    }
    Operation *maker = condition.getDefiningOp();
    if (!isa_and_nonnull<arith::AndIOp, arith::OrIOp>(maker))
      return std::nullopt;
    std::optional<Sides> left = sidesOf(maker->getOperand(0)),
                         right = sidesOf(maker->getOperand(1));
    if (!left || !right)
      return std::nullopt;
    if (isa<arith::AndIOp>(maker))
      return Sides{left->first || right->first, left->end || right->end};
    // Two runs are one where both begin at the first row, or both go on to the last.
    if (!varies(maker->getOperand(0)))
      return right;
    if (!varies(maker->getOperand(1)))
      return left;
    if (left->first == right->first && left->end == right->end && left->first != left->end)
      return left;
    return std::nullopt;
  };
  return sides[condition] = find();
}

void MaskRuns::addConjuncts(Value condition) {
  SmallVector<Value> open{condition};
  llvm::DenseSet<Value> met;
  while (!open.empty()) {
    Value each = open.pop_back_val();
    if (!met.insert(each).second)
      continue;
    auto both = each.getDefiningOp<arith::AndIOp>();
    if (sidesOf(each))
      runs.push_back(each);
    else if (both)
      open.append({both.getRhs(), both.getLhs()});
    else
      rest.push_back(each);
  }
}
