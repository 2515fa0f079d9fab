// Sums and maxima along an axis: of a thread's elements, of its lanes, of the block's warps.

#include "ringc/compiler/passes/gpu/Reductions.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"

#include <limits>

using namespace mlir;
using namespace ringc;
using namespace ringc::gpu;
using Kind = FragmentLayout::Kind;

FragmentLayout ringc::gpu::reducedFrom(Value operand, const FragmentLayout &held) {
  auto type = cast<RankedTensorType>(operand.getType());
  FragmentLayout full = block::layoutOf(operand);
  bool isSingle = type.getDimSize(0) == 1 || type.getDimSize(1) == 1;
  return isSingle && full.kind == Kind::Matrix ? held : full;
}

Value ringc::gpu::conditionsReduced(tile::ReduceKind kind, Value operand) {
  auto choice = operand.getDefiningOp<arith::SelectOp>();
  bool areOnes = choice && kind == tile::ReduceKind::Max &&
                 matchPattern(choice.getTrueValue(), m_OneFloat()) &&
                 matchPattern(choice.getFalseValue(), m_AnyZeroFloat());
  return areOnes ? choice.getCondition() : Value();
}

/// Of a thread's values, those of the other lanes that share their n (over m; m otherwise) too.
void Reductions::acrossLanes(Combine combine, MutableArrayRef<Value> values, bool overM) {
  for (int distance = overM ? 4 : 1; distance < (overM ? 32 : 4); distance *= 2)
    for (Value &value : values) {
      StringRef exchange =
          value.getType().isF32() ? "llvm.nvvm.shfl.sync.bfly.f32" : "llvm.nvvm.shfl.sync.bfly.i32";
      Value other = intrinsic(value.getType(), exchange, {i32(-1), value, i32(distance), i32(31)});
      value = combine(value, other);
    }
}

/// Each warp's values, the same in all threads of one n (over m; of one m otherwise), become those
/// of all warps of its column (row) of the grid.
void Reductions::acrossWarps(Combine combine, MutableArrayRef<Value> values, bool overM,
                             Value through) {
  int64_t several = overM ? grid.m : grid.n, groups = groupsOfWarp(overM);
  if (several == 1)
    return;
  int64_t count = static_cast<int64_t>(values.size()), offset = words.lookup(through);
  Value group = overM ? arith::AndIOp::create(builder, loc, lane, i32(3)).getResult()
                      : arith::ShRUIOp::create(builder, loc, lane, i32(2)).getResult();
  auto slot = [&](Value ofWarp, int64_t index) {
    Value at = add(add(mul(ofWarp, groups * count), mul(group, count)), i32(index));
    return sharedPointer(mul(at, 4), offset);
  };
  auto other = [&](int64_t w) {
    if (!overM)
      return add(mWarp, i32(w * grid.m));
    return grid.n == 1 ? i32(w) : add(mul(nWarp, grid.m), i32(w));
  };
  barrier();
  for (int64_t i = 0; i < count; ++i)
    store(values[static_cast<size_t>(i)], slot(warp, i));
  barrier();
  for (int64_t i = 0; i < count; ++i)
    for (int64_t w = 0; w < several; ++w) {
      Value &sum = values[static_cast<size_t>(i)];
      Value part = load(sum.getType(), slot(other(w), i));
      sum = w == 0 ? part : combine(sum, part);
    }
}

/// Whether an element is one of the tile along the reduced axis: what the fragments reach beyond it
/// does not count. Null where it always is.
Value Reductions::counts(const FragmentLayout &from, int64_t m, int64_t n, bool overM) {
  if (overM ? !grid.mMayExceed(m, from.mExtent) : !grid.nMayExceed(n, from.nExtent))
    return {};
  return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::slt, overM ? mAt(m) : nAt(n),
                               i32(overM ? from.mExtent : from.nExtent));
}

/// The largest of ones where a condition holds and zeros where not: a thread's are bits of a word,
/// one exchange between lanes, and one place in shared memory, for 32 of them.
LogicalResult Reductions::reduceConditions(Operation *op, Value tile, const FragmentLayout &to,
                                           bool overM, Value through) {
  FailureOr<Fragment> given = whole(tile, op);
  if (failed(given))
    return failure();
  FragmentLayout from = layoutOf(tile);
  Fragment conditions = expanded(*given, from);
  SmallVector<Value> holds(static_cast<size_t>(to.count()));
  for (int64_t e = 0; e < from.count(); ++e) {
    int64_t m = from.mOf(e), n = from.nOf(e);
    Value condition = conditions.elements[static_cast<size_t>(e)];
    if (Value in = counts(from, m, n, overM))
      condition = arith::AndIOp::create(builder, loc, in, condition);
    Value &any = holds[static_cast<size_t>(to.at(m, n))];
    any = any ? arith::OrIOp::create(builder, loc, any, condition).getResult() : condition;
  }
  auto either = [&](Value a, Value b) -> Value { return arith::OrIOp::create(builder, loc, a, b); };
  auto bit = [&](size_t i) { return i32(static_cast<int32_t>(1U << i % 32)); };
  SmallVector<Value> bits(llvm::divideCeil(holds.size(), 32), i32(0));
  for (auto [i, condition] : llvm::enumerate(holds))
    bits[i / 32] =
        either(bits[i / 32], arith::SelectOp::create(builder, loc, condition, bit(i), i32(0)));
  acrossLanes(either, bits, overM);
  acrossWarps(either, bits, overM, through);
  Fragment made{to, {}};
  Value one = arith::ConstantOp::create(builder, loc, builder.getF32FloatAttr(1));
  for (size_t i = 0; i < holds.size(); ++i) {
    Value set = arith::CmpIOp::create(
        builder, loc, arith::CmpIPredicate::ne,
        arith::AndIOp::create(builder, loc, bits[i / 32], bit(i)).getResult(), i32(0));
    made.elements.push_back(
        arith::SelectOp::create(builder, loc, set, one, zeroOf(builder.getF32Type())));
  }
  fragments[op->getResult(0)] = made;
  return success();
}

Fragment Reductions::reduced(const Fragment &fragment, const FragmentLayout &to, bool overM,
                             Combine combine, Value neutral, Value through) {
  const FragmentLayout &from = fragment.layout;
  SmallVector<Value> sums(static_cast<size_t>(to.count()));
  for (int64_t e = 0; e < from.count(); ++e) {
    Value value = fragment.elements[static_cast<size_t>(e)];
    int64_t m = from.mOf(e), n = from.nOf(e);
    if (Value in = counts(from, m, n, overM))
      value = arith::SelectOp::create(builder, loc, in, value, neutral);
    Value &sum = sums[static_cast<size_t>(to.at(m, n))];
    sum = sum ? combine(sum, value) : value;
  }
  acrossLanes(combine, sums, overM);
  acrossWarps(combine, sums, overM, through);
  return {to, sums};
}

LogicalResult Reductions::lower(block::CollapseOp op) {
  FailureOr<Fragment> given = whole(op.getOperand(), op);
  if (failed(given))
    return failure();
  Fragment fragment = *given;
  Value zero = zeroOf(builder.getF32Type());
  auto sum = [&](Value a, Value b) -> Value { return arith::AddFOp::create(builder, loc, a, b); };
  ValueRange through = op.getWords();
  auto reduceTo = [&](Kind kind, bool overM) {
    FragmentLayout to = fragment.layout;
    to.kind = kind;
    Value exchanged;
    if ((overM ? grid.m : grid.n) > 1) {
      exchanged = through.front();
      through = through.drop_front();
    }
    fragment = reduced(fragment, to, overM, sum, zero, exchanged);
  };
  bool oneN = given->layout.nExtent == 1;
  if (oneN)
    reduceTo(Kind::AlongM, /*overM=*/false);
  if (given->layout.mExtent == 1)
    reduceTo(oneN ? Kind::Single : Kind::AlongN, /*overM=*/true);
  fragments[op.getResult()] = fragment;
  return success();
}

LogicalResult Reductions::lowerReduce(Operation *op, tile::ReduceKind kind, int64_t axis,
                                      Value through) {
  Value tile = op->getOperand(0), result = op->getResult(0);
  FailureOr<Fragment> given = whole(tile, op);
  if (failed(given))
    return failure();
  FragmentLayout from = reducedFrom(tile, given->layout);
  Fragment operand = expanded(*given, from);
  bool overM = isOverM(from, axis);
  if (from.kind == Kind::Single ||
      cast<RankedTensorType>(tile.getType()).getDimSize(static_cast<unsigned>(axis)) == 1) {
    fragments[result] = operand; // along an axis of one element
    return success();
  }
  FragmentLayout to = from;
  to.kind = from.kind != Kind::Matrix ? Kind::Single : overM ? Kind::AlongN : Kind::AlongM;
  if (from.kind == Kind::Matrix)
    if (Value conditions = conditionsReduced(kind, tile))
      return reduceConditions(op, conditions, to, overM, through);
  auto combine = [&](Value a, Value b) -> Value {
    if (kind == tile::ReduceKind::Max)
      return arith::MaxNumFOp::create(builder, loc, a, b);
    return arith::AddFOp::create(builder, loc, a, b);
  };
  float identity = kind == tile::ReduceKind::Max ? -std::numeric_limits<float>::infinity() : 0.0f;
  Value neutral = arith::ConstantOp::create(builder, loc, builder.getF32FloatAttr(identity));
  fragments[result] = reduced(operand, to, overM, combine, neutral, through);
  return success();
}

/// Of the rows that a warp's threads hold: one vote, and what depends on it may exchange between
/// lanes.
LogicalResult Reductions::lower(tile::AllOp op) {
  FailureOr<Fragment> rows = whole(op.getRows(), op);
  if (failed(rows))
    return failure();
  Value all = arith::ConstantIntOp::create(builder, loc, 1, 1);
  const FragmentLayout &layout = rows->layout;
  for (int64_t e = 0; e < layout.count(); ++e) {
    Value row = rows->elements[static_cast<size_t>(e)];
    bool overM = layout.kind == Kind::AlongM;
    if (layout.kind != Kind::Single)
      if (Value in = counts(layout, layout.mOf(e), layout.nOf(e), overM)) {
        Value out = arith::XOrIOp::create(builder, loc, in,
                                          arith::ConstantIntOp::create(builder, loc, 1, 1));
        row = arith::OrIOp::create(builder, loc, row, out);
      }
    all = e == 0 ? row : arith::AndIOp::create(builder, loc, all, row).getResult();
  }
  scalars[op.getResult()] =
      intrinsic(builder.getI1Type(), "llvm.nvvm.vote.all.sync", {i32(-1), all});
  return success();
}
