#include "ringc/compiler/passes/cpu/NestEmitter.h"

#include "ringc/compiler/passes/cpu/VectorMath.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace ringc;
using namespace ringc::cpu;

NestEmitter::NestEmitter(Lowering &l, Value tile, std::optional<Lowering::VisibleRanges> ranges)
    : lowering(l), builder(l.builder), frame(l.frame), loc(l.loc),
      shape(cast<RankedTensorType>(tile.getType())), laneAxis(l.lanes.laneAxis(tile)),
      line(shape.getDimSize(1 - laneAxis) == 1), rows(shape.getDimSize(1 - laneAxis)),
      laneCount(shape.getDimSize(laneAxis)), width(l.target.lanes()), visible(ranges) {
  stride = llvm::alignTo(laneCount, width);
  vectors = std::min<int64_t>(l.target.registers >= 32 ? 4 : 2, stride / width);
  if (visible)
    vectors = visible->granule / width;
  while (stride / width % vectors)
    --vectors;
}

static TypedAttr identityOf(tile::ReduceKind kind, OpBuilder &builder) {
  float value = kind == tile::ReduceKind::Max ? -std::numeric_limits<float>::infinity() : 0.0f;
  return builder.getF32FloatAttr(value);
}

static Value combine(tile::ReduceKind kind, Value value, Value sum, OpBuilder &b, Location loc) {
  if (kind == tile::ReduceKind::Sum)
    return arith::AddFOp::create(b, loc, sum, value);
  return greaterOf(b, loc, value, sum);
}

/// Of a power of two of lanes, by halves.
static Value acrossLanes(tile::ReduceKind kind, Value vector, OpBuilder &b, Location loc) {
  for (int64_t half = cast<VectorType>(vector.getType()).getNumElements() / 2; half; half /= 2) {
    SmallVector<int64_t> lower = llvm::to_vector(llvm::seq<int64_t>(0, half)),
                         upper = llvm::to_vector(llvm::seq<int64_t>(half, 2 * half));
    vector = combine(kind, vector::ShuffleOp::create(b, loc, vector, vector, upper),
                     vector::ShuffleOp::create(b, loc, vector, vector, lower), b, loc);
  }
  return vector::ExtractOp::create(b, loc, vector, ArrayRef<int64_t>{0});
}

bool NestEmitter::isOneLoop(Lowering &lowering, Value tile) {
  NestEmitter nest(lowering, tile, std::nullopt);
  return !nest.line && nest.laneCount > 1 && nest.stride == nest.vectors * nest.width &&
         nest.rows % 2 == 0;
}

void NestEmitter::emit(ArrayRef<Output> outputs, ArrayRef<Reduction> reductions, bool asks) {
  asksAhead = asks;
  for (Reduction reduction : reductions)
    if (static_cast<int>(reduction.op.getAxis()) == laneAxis)
      lowering.fillBuffer(
          reduction.to,
          arith::ConstantOp::create(builder, loc, identityOf(reduction.op.getKind(), builder)));
  Value zero = frame.constant(0);
  if (stride == vectors * width)
    return emitLanes(zero, outputs, reductions);
  lowering.loop(zero, frame.constant(stride), vectors * width, {}, [&](Value lane, ValueRange) {
    emitLanes(lane, outputs, reductions);
    return SmallVector<Value>();
  });
}

Value NestEmitter::laneOffset(int vector) {
  return vector == 0 ? laneStart : frame.add(laneStart, frame.constant(vector * width));
}

/// True for the lanes of `vector` that are not padding; null where none is.
static Value insideLanes(OpBuilder &builder, Location loc, KernelFrame &frame, Value laneOffset,
                         int64_t laneCount, int64_t width) {
  if (laneCount % width == 0)
    return {};
  SmallVector<int32_t> counted;
  for (int64_t i = 0; i < width; ++i)
    counted.push_back(static_cast<int32_t>(i));
  Value lanes = arith::ConstantOp::create(builder, loc, builder.getI32VectorAttr(counted));
  Value left =
      arith::SubIOp::create(builder, loc, frame.constant32(laneCount), frame.narrow(laneOffset));
  left = vector::BroadcastOp::create(builder, loc, lanes.getType(), left);
  return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::slt, lanes, left);
}

void NestEmitter::store(Value value, Value next, const Buffer &to, int vector) {
  auto stored = [&](Value v) {
    v = lowering.convert(v, to.element);
    if (Value inside = insideLanes(builder, loc, frame, laneOffset(vector), laneCount, width))
      v = arith::SelectOp::create(builder, loc, inside, v, lowering.zero(v.getType()));
    return v;
  };
  Value bits = stored(value);
  if (to.format.paired)
    bits = vector::InterleaveOp::create(builder, loc, bits,
                                        next ? stored(next) : lowering.zero(bits.getType()));
  Value at = lowering.elementOffset(to, row, laneOffset(vector));
  lowering.storeVector(bits, lowering.bufferPointer(to, at), to.elementBytes());
}

void NestEmitter::storeZeros(Value firstRow, Value endRow, ArrayRef<Output> outputs) {
  for (const Output &output : outputs)
    for (const Buffer &to : output.to)
      if (output.readAsZero)
        lowering.loop(firstRow, endRow, to.format.paired ? 2 : 1, {}, [&](Value r, ValueRange) {
          row = r;
          Value none = lowering.zero(VectorType::get({width}, to.element));
          for (int v = 0; v < vectors; ++v)
            store(none, none, to, v);
          return SmallVector<Value>();
        });
}

void NestEmitter::emitLanes(Value start, ArrayRef<Output> outputs, ArrayRef<Reduction> reductions) {
  laneStart = start;
  hoisted.clear();
  SmallVector<Value> inits;
  for (Reduction reduction : reductions)
    if (static_cast<int>(reduction.op.getAxis()) != laneAxis)
      for (int v = 0; v < vectors; ++v)
        inits.push_back(lowering.broadcast(
            arith::ConstantOp::create(builder, loc, identityOf(reduction.op.getKind(), builder)),
            width));
  bool pairs = llvm::any_of(outputs, [](const Output &output) {
    return llvm::any_of(output.to, [](const Buffer &buffer) { return buffer.format.paired; });
  });

  // Everything of one row is read and computed before anything is stored: outputs may replace
  // inputs in place.
  auto emitRow = [&](Value firstRow, ValueRange sums, bool withNext) {
    SmallVector<SmallVector<Value>> values[2];
    SmallVector<Value> next(sums.begin(), sums.end());
    for (int half = 0; half < (withNext ? 2 : 1); ++half) {
      perRow.clear();
      row = half ? frame.add(firstRow, frame.constant(1)) : firstRow;
      for (const Output &output : outputs) {
        auto &computed = values[half].emplace_back();
        for (int v = 0; v < vectors; ++v)
          computed.push_back(asVector(evaluate(output.tile, v)));
      }
      size_t sum = 0;
      for (Reduction reduction : reductions) {
        tile::ReduceKind kind = reduction.op.getKind();
        Value operand = reduction.op.getOperand();
        if (static_cast<int>(reduction.op.getAxis()) != laneAxis) {
          for (int v = 0; v < vectors; ++v, ++sum)
            next[sum] = combine(kind, asVector(evaluate(operand, v)), next[sum], builder, loc);
          continue;
        }
        Value pointer = lowering.bufferPointer(
            reduction.to, lowering.elementOffset(reduction.to, frame.constant(0), row));
        Value identity = lowering.broadcast(
            arith::ConstantOp::create(builder, loc, identityOf(kind, builder)), width);
        Value ofLanes = identity; // a NaN is no maximum
        for (int v = 0; v < vectors; ++v) {
          Value lanes = asVector(evaluate(operand, v));
          if (Value inside = insideLanes(builder, loc, frame, laneOffset(v), laneCount, width))
            lanes = arith::SelectOp::create(builder, loc, inside, lanes, identity);
          ofLanes = combine(kind, lanes, ofLanes, builder, loc);
        }
        Value total = LLVM::LoadOp::create(builder, loc, builder.getF32Type(), pointer);
        total = combine(kind, acrossLanes(kind, ofLanes, builder, loc), total, builder, loc);
        LLVM::StoreOp::create(builder, loc, total, pointer);
      }
    }
    row = firstRow;
    for (auto [o, output] : llvm::enumerate(outputs))
      for (const Buffer &to : output.to)
        for (int v = 0; v < vectors; ++v) {
          Value second = withNext ? values[1][o][v] : Value();
          row = firstRow;
          store(values[0][o][v], second, to, v);
          if (second && !to.format.paired) {
            row = frame.add(firstRow, frame.constant(1));
            store(second, {}, to, v);
          }
        }
    return next;
  };

  SmallVector<Value> sums = inits;
  if (line) {
    sums = emitRow(frame.constant(0), sums, false);
  } else {
    int64_t step = pairs ? 2 : 1, whole = rows / step * step;
    Value first = frame.constant(0), end = frame.constant(whole);
    if (visible) { // granules are whole pairs
      std::tie(first, end) = lowering.rangeAt(*visible, laneStart);
      storeZeros(frame.constant(0), first, outputs);
      storeZeros(end, frame.constant(rows), outputs);
    }
    if (whole) {
      auto made = lowering.loop(first, end, step, sums, [&](Value r, ValueRange carried) {
        hoistBefore = builder.getInsertionBlock()->getParentOp();
        for (int64_t next = 0; asksAhead && next < step; ++next)
          lowering.prefetchNext(frame.add(r, frame.constant(next)));
        return emitRow(r, carried, pairs);
      });
      hoistBefore = nullptr;
      sums.assign(made.result_begin(), made.result_end());
    }
    if (whole != rows)
      sums = emitRow(frame.constant(whole), sums, false);
  }
  size_t sum = 0;
  for (Reduction reduction : reductions)
    if (static_cast<int>(reduction.op.getAxis()) != laneAxis)
      for (int v = 0; v < vectors; ++v, ++sum) {
        Value at = frame.mul(laneOffset(v), 4);
        lowering.storeVector(sums[sum], lowering.bufferPointer(reduction.to, at), 4 * width);
      }
}

Value NestEmitter::asVector(Term term) {
  return term.isVector()
             ? term.value
             : hoistable(term.perRow, [&] { return lowering.broadcast(term.value, width); }).value;
}

NestEmitter::Term NestEmitter::hoistable(bool changes, llvm::function_ref<Value()> make) {
  OpBuilder::InsertionGuard guard(builder);
  if (!changes && hoistBefore)
    builder.setInsertionPoint(hoistBefore);
  return {make(), changes};
}

NestEmitter::Term NestEmitter::evaluate(Value tile, int vector) {
  std::pair<Value, int> key{tile, vector};
  if (auto it = hoisted.find(key); it != hoisted.end())
    return it->second;
  if (auto it = perRow.find(key); it != perRow.end())
    return it->second;
  Term term = compute(tile, vector);
  (term.perRow ? perRow : hoisted)[key] = term;
  return term;
}

NestEmitter::Term NestEmitter::fromBuffer(const Buffer &buffer, Value tile, int vector) {
  auto type = cast<RankedTensorType>(tile.getType());
  auto read = [&](Value value) {
    return type.getElementType().isInteger(1) ? lowering.convert(value, builder.getI1Type())
                                              : value;
  };
  // A line whose one long axis is the nest's lanes, the whole shape, or one scalar a row.
  bool wholeShape = !line && type.getShape() == shape.getShape();
  bool alongLanes = wholeShape || type.getDimSize(laneAxis) == laneCount;
  if (type.getNumElements() == 1)
    alongLanes = laneCount == 1;
  bool changes = wholeShape || !alongLanes;
  if (type.getNumElements() == 1)
    changes = false;
  return hoistable(changes, [&]() -> Value {
    if (alongLanes) {
      Value at =
          lowering.elementOffset(buffer, wholeShape ? row : frame.constant(0), laneOffset(vector));
      return read(lowering.loadVector(lowering.bufferPointer(buffer, at), buffer.element, width,
                                      buffer.elementBytes()));
    }
    Value index = changes ? row : frame.constant(0);
    Value at = frame.mul(index, buffer.elementBytes());
    return read(
        LLVM::LoadOp::create(builder, loc, buffer.element, lowering.bufferPointer(buffer, at)));
  });
}

NestEmitter::Term NestEmitter::compute(Value tile, int vector) {
  if (isSplat(tile)) {
    if (auto splat = tile.getDefiningOp<tile::SplatOp>())
      return {lowering.scalars.lookup(splat.getValue())};
    auto constant = tile.getDefiningOp<arith::ConstantOp>();
    auto value = cast<DenseElementsAttr>(constant.getValue()).getSplatValue<TypedAttr>();
    return hoistable(false, [&] { return arith::ConstantOp::create(builder, loc, value); });
  }
  if (lowering.findBuffer(tile))
    if (const Buffer *plain =
            lowering.findBuffer(tile, Format{lowering.lanes.laneAxis(tile), false}))
      return fromBuffer(*plain, tile, vector);
  Operation *op = tile.getDefiningOp();
  assert(op && "a tile of a nest that neither lies in memory nor can be computed");
  if (auto apply = dyn_cast<tile::ApplyOp>(op))
    return this->apply(apply, vector);
  if (isa<tile::IotaOp, tile::PositionOp>(op))
    return counted(op, vector);
  if (auto repeat = dyn_cast<tile::BroadcastOp>(op))
    return evaluate(repeat.getOperand(), vector);
  if (isa<arith::TruncFOp, arith::ExtFOp>(op)) {
    Term operand = evaluate(op->getOperand(0), vector);
    Type element = cast<RankedTensorType>(tile.getType()).getElementType();
    Type kept = lowering.storageType(element);
    return hoistable(operand.perRow, [&] { return lowering.convert(operand.value, kept); });
  }
  SmallVector<Term> operands;
  for (Value operand : op->getOperands())
    operands.push_back(evaluate(operand, vector));
  return elementwise(op, operands);
}

NestEmitter::Term NestEmitter::elementwise(Operation *op, ArrayRef<Term> terms) {
  bool changes = llvm::any_of(terms, [](const Term &term) { return term.perRow; });
  bool inVectors = llvm::any_of(terms, [](const Term &term) { return term.isVector(); });
  // Own exp2 and the polynomials of MLIR's math library are for vectors.
  inVectors |= isa<math::MathDialect>(op->getDialect());
  SmallVector<Value> operands;
  for (const Term &term : terms)
    operands.push_back(inVectors ? asVector(term) : term.value);
  return hoistable(changes, [&]() -> Value {
    if (Value special = emitSpecial(builder, loc, op, operands, lowering.target))
      return special;
    Type element = getElementTypeOrSelf(op->getResult(0).getType());
    Type type = inVectors ? Type(VectorType::get({width}, element)) : element;
    OperationState state(loc, op->getName(), operands, {type}, op->getAttrs());
    Operation *made = builder.create(state);
    if (!tile::isTile(op->getResult(0).getType()) &&
        isa<arith::AddFOp, arith::SubFOp, arith::MulFOp>(made))
      made->setAttr("fastmath", arith::FastMathFlagsAttr::get(builder.getContext(),
                                                              arith::FastMathFlags::contract));
    return made->getResult(0);
  });
}
