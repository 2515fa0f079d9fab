#include "ringc/compiler/passes/gpu/Applied.h"

#include "llvm/ADT/DenseSet.h"

#include <tuple>

using namespace mlir;
using namespace ringc;
using namespace ringc::gpu;

Lowering::VisibleRows::VisibleRows(const Applied &applied, bool keys)
    : mask(applied), lowering(mask.lowering), alongKeys(keys),
      positions(
          lowering.frame.positions(keys ? mask.op.getKeyPositions() : mask.op.getQueryPositions())),
      count(lowering.frame.narrow(lowering.frame.extent(positions.extent))),
      firstRow(lowering.scalars.lookup(keys ? mask.op.getKeyRow() : mask.op.getQueryRow())) {
  addConjuncts(mask.returned());
  Value rows = count; // a query's row stands once for each head of its group
  if (int64_t group = lowering.frame.groupSize(); !keys && group != 1)
    rows = arith::DivUIOp::create(lowering.builder, lowering.loc, count, lowering.i32(group));
  last = lowering.position(positions, lowering.subtract(rows, lowering.i32(1)));
}

Value Lowering::VisibleRows::smaller(Value a, Value b) const {
  return arith::MinSIOp::create(lowering.builder, lowering.loc, a, b);
}
Value Lowering::VisibleRows::larger(Value a, Value b) const {
  return arith::MaxSIOp::create(lowering.builder, lowering.loc, a, b);
}
Value Lowering::VisibleRows::select(Value condition, Value a, Value b) const {
  return arith::SelectOp::create(lowering.builder, lowering.loc, condition, a, b);
}

/// Whether a value is not the same for all n.
bool Lowering::VisibleRows::varies(Value value) {
  if (isa<BlockArgument>(value)) {
    if (alongKeys)
      return value == mask.argument(Applied::KeyPosition) ||
             value == mask.argument(Applied::KeyRow);
    return value == mask.argument(Applied::QueryPosition) ||
           value == mask.argument(Applied::QueryRow) || value == mask.argument(Applied::Head);
  }
  if (auto known = variesOf.find(value); known != variesOf.end())
    return known->second;
  bool any = llvm::any_of(value.getDefiningOp()->getOperands(),
                          [&](Value operand) { return varies(operand); });
  return variesOf[value] = any;
}

std::optional<Lowering::VisibleRows::Distance> Lowering::VisibleRows::distanceOf(Value value) {
  Value ofN = mask.argument(alongKeys ? Applied::KeyPosition : Applied::QueryPosition);
  Value ofM = mask.argument(alongKeys ? Applied::QueryPosition : Applied::KeyPosition);
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

std::optional<std::tuple<Lowering::VisibleRows::Distance, arith::CmpIPredicate, Value>>
Lowering::VisibleRows::boundOf(Value condition) {
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
std::optional<Lowering::VisibleRows::Sides> Lowering::VisibleRows::sidesOf(Value condition) {
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

void Lowering::VisibleRows::addConjuncts(Value condition) {
  SmallVector<Value> open{condition};
  llvm::DenseSet<Value> met;
  while (!open.empty()) {
    Value each = open.pop_back_val();
    if (!met.insert(each).second)
      continue;
    auto both = each.getDefiningOp<arith::AndIOp>();
    if (sidesOf(each))
      bounding.push_back(each);
    else if (both)
      open.append({both.getRhs(), both.getLhs()});
    else
      others.push_back(each);
  }
}

/// Positions are not negative, and a limit is brought near them before it is added to one: nothing
/// here leaves i32.
Lowering::VisibleRows::Run Lowering::VisibleRows::runOf(Applied &ofM, Distance distance,
                                                        Predicate predicate, Value limit) {
  Lowering &l = lowering;
  Value low = positions.first, high = last;
  if (distance.fromM) {
    Value from =
        ofM.valueOf(mask.argument(alongKeys ? Applied::QueryPosition : Applied::KeyPosition));
    low = distance.reversed ? l.subtract(from, low) : l.subtract(low, from);
    high = distance.reversed ? l.subtract(from, high) : l.subtract(high, from);
  }
  Value given = ofM.valueOf(limit), one = l.i32(1);
  // How many positions come before the distance, which goes from low to high, reaches the limit, or
  // passes it.
  auto before = [&](bool passes) -> Value {
    if (distance.reversed) {
      Value held = passes ? smaller(l.subtract(larger(given, high), one), low)
                          : larger(smaller(given, low), l.subtract(high, one));
      return l.subtract(low, held);
    }
    Value less = l.subtract(low, one);
    Value held = passes ? larger(given, less) : l.subtract(larger(given, low), one);
    return l.subtract(smaller(held, high), less);
  };
  bool below = predicate == Predicate::slt || predicate == Predicate::sle;
  bool orEqual = predicate == Predicate::sle || predicate == Predicate::sge;
  return below != distance.reversed ? Run{{}, before(orEqual)} : Run{before(!orEqual), {}};
}

/// What both hold, or, where that is one run, what either does.
Lowering::VisibleRows::Run Lowering::VisibleRows::joined(Run a, Run b, bool narrows) const {
  auto end = [&](Value x, Value y, bool takesLarger) -> Value {
    if (!x || !y)
      return x ? x : y;
    return takesLarger ? larger(x, y) : smaller(x, y);
  };
  return {end(a.first, b.first, narrows), end(a.end, b.end, !narrows)};
}

Lowering::VisibleRows::Run Lowering::VisibleRows::runOf(Applied &ofM, Value condition,
                                                        llvm::DenseMap<Value, Run> &known) {
  if (auto found = known.find(condition); found != known.end())
    return found->second;
  auto span = [&] {
    return lowering.subtract(last, lowering.subtract(positions.first, lowering.i32(1)));
  };
  auto find = [&]() -> Run {
    if (!varies(condition))
      return {{}, select(ofM.valueOf(condition), span(), lowering.i32(0))};
    if (auto bound = boundOf(condition)) {
      auto [distance, predicate, limit] = *bound;
      return runOf(ofM, distance, predicate, limit);
    }
    Operation *maker = condition.getDefiningOp();
    Value left = maker->getOperand(0), right = maker->getOperand(1);
    if (isa<arith::OrIOp>(maker) && (!varies(left) || !varies(right))) {
      Value always = ofM.valueOf(varies(left) ? right : left);
      Run run = runOf(ofM, varies(left) ? left : right, known);
      return {run.first ? select(always, lowering.i32(0), run.first) : Value(),
              run.end ? select(always, span(), run.end) : Value()};
    }
    return joined(runOf(ofM, left, known), runOf(ofM, right, known), isa<arith::AndIOp>(maker));
  };
  Run run = find();
  known[condition] = run;
  return run;
}

/// How many rows have a position before this one, which counts from the first row's: at most that
/// of the last, and one.
Value Lowering::VisibleRows::rowsBefore(Value position) {
  Lowering &l = lowering;
  auto quotient = [&](Value a, Value b) -> Value {
    return arith::DivUIOp::create(l.builder, l.loc, a, b);
  };
  if (positions.layout == "contiguous")
    return position;
  if (positions.layout == "striped")
    return quotient(l.add(l.subtract(positions.jump, l.i32(1)), position), positions.jump);
  if (positions.layout == "zigzag")
    return l.add(smaller(position, positions.block),
                 larger(l.subtract(position, positions.jump), l.i32(0)));
  Value jumps = quotient(position, positions.jump);
  auto product = [&](Value a, Value b) -> Value {
    return arith::MulIOp::create(l.builder, l.loc, a, b);
  };
  Value rest = l.subtract(position, product(jumps, positions.jump));
  return l.add(product(jumps, positions.block), smaller(rest, positions.block));
}

const Lowering::VisibleRows::OfM &Lowering::VisibleRows::ofM(int64_t m, Value coordinate) {
  if (auto found = runs.find(m); found != runs.end())
    return found->second;
  Lowering &l = lowering;
  OfM made{mask, {}};
  if (alongKeys)
    made.mask.placeQuery(coordinate);
  else
    made.mask.placeKey(coordinate);
  Run positionsSeen;
  llvm::DenseMap<Value, Run> known;
  for (Value condition : bounding)
    positionsSeen = joined(positionsSeen, runOf(made.mask, condition, known), /*narrows=*/true);
  // A query's row stands once for each head of its group.
  int64_t times = alongKeys ? 1 : l.frame.groupSize();
  if (positionsSeen.first)
    made.run.first = l.mul(rowsBefore(positionsSeen.first), times);
  made.run.end = positionsSeen.end ? l.mul(rowsBefore(positionsSeen.end), times) : count;
  const cpu::KernelFrame::Positions &across =
      l.frame.positions(alongKeys ? mask.op.getQueryPositions() : mask.op.getKeyPositions());
  Value row =
      l.add(l.scalars.lookup(alongKeys ? mask.op.getQueryRow() : mask.op.getKeyRow()), coordinate);
  Value inside = arith::CmpIOp::create(l.builder, l.loc, Predicate::slt, row,
                                       l.frame.narrow(l.frame.extent(across.extent)));
  made.run.end = select(inside, made.run.end, l.i32(0));
  return runs.insert({m, made}).first->second;
}

Value Lowering::VisibleRows::at(int64_t m, Value mCoordinate, Value nCoordinate) {
  Lowering &l = lowering;
  const OfM &placed = ofM(m, mCoordinate);
  // What all of an m's elements have in common apart from a constant of each.
  auto [common, further] = throughConstant(l.add(firstRow, nCoordinate));
  Value start = common ? common : l.i32(0);
  Value seen;
  if (Value first = placed.run.first) {
    Value behind = l.add(l.subtract(start, first), l.i32(further));
    Value rows = larger(l.subtract(placed.run.end, first), l.i32(0));
    seen = arith::CmpIOp::create(l.builder, l.loc, Predicate::ult, behind, rows);
  } else {
    seen = arith::CmpIOp::create(l.builder, l.loc, Predicate::sgt,
                                 l.subtract(placed.run.end, start), l.i32(further));
  }
  if (others.empty())
    return seen;
  Applied here = placed.mask;
  if (alongKeys)
    here.placeKey(nCoordinate);
  else
    here.placeQuery(nCoordinate);
  for (Value condition : others)
    seen = arith::AndIOp::create(l.builder, l.loc, seen, here.valueOf(condition));
  return seen;
}

Value Lowering::VisibleRows::meets(int64_t m, Value mCoordinate, int64_t extent) {
  Lowering &l = lowering;
  const Run &run = ofM(m, mCoordinate).run;
  Value first = run.first ? larger(run.first, firstRow) : firstRow;
  Value end = smaller(run.end, l.add(firstRow, l.i32(extent)));
  return arith::CmpIOp::create(l.builder, l.loc, Predicate::slt, first, end);
}
