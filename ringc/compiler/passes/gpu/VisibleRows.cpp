#include "ringc/compiler/passes/gpu/Applied.h"

using namespace mlir;
using namespace ringc;
using namespace ringc::gpu;

Masks::VisibleRows::VisibleRows(const Applied &applied, bool keys)
    : mask(applied), lowering(mask.lowering), alongKeys(keys), conditions(mask.function, keys),
      positions(
          lowering.frame.positions(keys ? mask.place.keyPositions : mask.place.queryPositions)),
      count(lowering.frame.narrow(lowering.frame.extent(positions.extent))),
      firstRow(lowering.scalars.lookup(keys ? mask.place.keyRow : mask.place.queryRow)) {
  Value rows = count; // a query's row stands once for each head of its group
  if (int64_t group = lowering.frame.groupSize(); !keys && group != 1)
    rows = arith::DivUIOp::create(lowering.builder, lowering.loc, count, lowering.i32(group));
  last = lowering.position(positions, lowering.subtract(rows, lowering.i32(1)));
}

Value Masks::VisibleRows::smaller(Value a, Value b) const {
  return arith::MinSIOp::create(lowering.builder, lowering.loc, a, b);
}
Value Masks::VisibleRows::larger(Value a, Value b) const {
  return arith::MaxSIOp::create(lowering.builder, lowering.loc, a, b);
}
Value Masks::VisibleRows::select(Value condition, Value a, Value b) const {
  return arith::SelectOp::create(lowering.builder, lowering.loc, condition, a, b);
}

/// Positions are not negative, and a limit is brought near them before it is added to one: nothing
/// here leaves i32.
Masks::VisibleRows::Run Masks::VisibleRows::runOf(Applied &ofM, Distance distance,
                                                  Predicate predicate, Value limit) {
  Masks &l = lowering;
  Value low = positions.first, high = last;
  if (distance.fromM) {
    Value from = ofM.valueOf(mask.argument(alongKeys ? QueryPosition : KeyPosition));
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
Masks::VisibleRows::Run Masks::VisibleRows::joined(Run a, Run b, bool narrows) const {
  auto end = [&](Value x, Value y, bool takesLarger) -> Value {
    if (!x || !y)
      return x ? x : y;
    return takesLarger ? larger(x, y) : smaller(x, y);
  };
  return {end(a.first, b.first, narrows), end(a.end, b.end, !narrows)};
}

Masks::VisibleRows::Run Masks::VisibleRows::runOf(Applied &ofM, Value condition,
                                                  llvm::DenseMap<Value, Run> &known) {
  if (auto found = known.find(condition); found != known.end())
    return found->second;
  auto span = [&] {
    return lowering.subtract(last, lowering.subtract(positions.first, lowering.i32(1)));
  };
  auto find = [&]() -> Run {
    if (!conditions.varies(condition))
      return {{}, select(ofM.valueOf(condition), span(), lowering.i32(0))};
    if (auto bound = conditions.boundOf(condition)) {
      auto [distance, predicate, limit] = *bound;
      return runOf(ofM, distance, predicate, limit);
    }
    Operation *maker = condition.getDefiningOp();
    Value left = maker->getOperand(0), right = maker->getOperand(1);
    if (isa<arith::OrIOp>(maker) && (!conditions.varies(left) || !conditions.varies(right))) {
      Value always = ofM.valueOf(conditions.varies(left) ? right : left);
      Run run = runOf(ofM, conditions.varies(left) ? left : right, known);
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
Value Masks::VisibleRows::rowsBefore(Value position) {
  Masks &l = lowering;
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

const Masks::VisibleRows::OfM &Masks::VisibleRows::ofM(int64_t m, Value coordinate) {
  if (auto found = runs.find(m); found != runs.end())
    return found->second;
  Masks &l = lowering;
  OfM made{mask, {}};
  if (alongKeys)
    made.mask.placeQuery(coordinate);
  else
    made.mask.placeKey(coordinate);
  Run positionsSeen;
  llvm::DenseMap<Value, Run> known;
  for (Value condition : conditions.bounding())
    positionsSeen = joined(positionsSeen, runOf(made.mask, condition, known), /*narrows=*/true);
  // A query's row stands once for each head of its group.
  int64_t times = alongKeys ? 1 : l.frame.groupSize();
  if (positionsSeen.first)
    made.run.first = l.mul(rowsBefore(positionsSeen.first), times);
  made.run.end = positionsSeen.end ? l.mul(rowsBefore(positionsSeen.end), times) : count;
  const cpu::KernelFrame::Positions &across =
      l.frame.positions(alongKeys ? mask.place.queryPositions : mask.place.keyPositions);
  Value row =
      l.add(l.scalars.lookup(alongKeys ? mask.place.queryRow : mask.place.keyRow), coordinate);
  Value inside = arith::CmpIOp::create(l.builder, l.loc, Predicate::slt, row,
                                       l.frame.narrow(l.frame.extent(across.extent)));
  made.run.end = select(inside, made.run.end, l.i32(0));
  return runs.insert({m, made}).first->second;
}

Value Masks::VisibleRows::at(int64_t m, Value mCoordinate, Value nCoordinate) {
  Masks &l = lowering;
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
  if (conditions.areAll())
    return seen;
  Applied here = placed.mask;
  if (alongKeys)
    here.placeKey(nCoordinate);
  else
    here.placeQuery(nCoordinate);
  for (Value condition : conditions.others())
    seen = arith::AndIOp::create(l.builder, l.loc, seen, here.valueOf(condition));
  return seen;
}

Value Masks::VisibleRows::meets(int64_t m, Value mCoordinate, int64_t extent) {
  Masks &l = lowering;
  const Run &run = ofM(m, mCoordinate).run;
  Value first = run.first ? larger(run.first, firstRow) : firstRow;
  Value end = smaller(run.end, l.add(firstRow, l.i32(extent)));
  return arith::CmpIOp::create(l.builder, l.loc, Predicate::slt, first, end);
}
