#include "ringc/compiler/passes/cpu/NestEmitter.h"
#include "ringc/compiler/passes/cpu/VectorMath.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace ringc;
using namespace ringc::cpu;

/// Masks and scores inside a nest: scalar functions of the positions, evaluated for a vector of
/// lanes.

Value NestEmitter::rowsOfLanes(Value first, int vector) {
  SmallVector<int32_t> counted;
  for (int64_t i = 0; i < width; ++i)
    counted.push_back(static_cast<int32_t>(i));
  Value lanes = arith::ConstantOp::create(builder, loc, builder.getI32VectorAttr(counted));
  Value start = arith::AddIOp::create(builder, loc, first, frame.narrow(laneOffset(vector)));
  return arith::AddIOp::create(builder, loc, lanes, lowering.broadcast(start, width));
}

template <typename Op> NestEmitter::Term NestEmitter::binary(Term a, Term b) {
  bool vector = a.isVector() || b.isVector();
  Value left = vector ? asVector(a) : a.value, right = vector ? asVector(b) : b.value;
  return hoistable(a.perRow || b.perRow,
                   [&]() -> Value { return Op::create(builder, loc, left, right); });
}

NestEmitter::Term NestEmitter::compare(arith::CmpIPredicate predicate, Term a, Term b) {
  bool vector = a.isVector() || b.isVector();
  Value left = vector ? asVector(a) : a.value, right = vector ? asVector(b) : b.value;
  return hoistable(a.perRow || b.perRow, [&]() -> Value {
    return arith::CmpIOp::create(builder, loc, predicate, left, right);
  });
}

NestEmitter::Term NestEmitter::select(Term condition, Term a, Term b) {
  bool vector = condition.isVector() || a.isVector() || b.isVector();
  Value c = vector ? asVector(condition) : condition.value;
  Value left = vector ? asVector(a) : a.value, right = vector ? asVector(b) : b.value;
  return hoistable(condition.perRow || a.perRow || b.perRow, [&]() -> Value {
    return arith::SelectOp::create(builder, loc, c, left, right);
  });
}

/// Global positions of local rows: first + (l / block) * jump + l % block, folded by the kind of
/// layout as in KernelFrame::position.
NestEmitter::Term NestEmitter::position(const KernelFrame::Positions &positions, Term l) {
  Term first{positions.first}, block{positions.block}, jump{positions.jump};
  if (positions.layout == "contiguous")
    return binary<arith::AddIOp>(first, l);
  if (positions.layout == "striped")
    return binary<arith::AddIOp>(first, binary<arith::MulIOp>(l, jump));
  if (positions.layout == "zigzag") {
    Term second = compare(arith::CmpIPredicate::sge, l, block);
    Term low = binary<arith::AddIOp>(first, l);
    Term high = binary<arith::AddIOp>(low, binary<arith::SubIOp>(jump, block));
    return select(second, high, low);
  }
  Term number = binary<arith::DivUIOp>(l, block);
  Term within = binary<arith::SubIOp>(l, binary<arith::MulIOp>(number, block));
  return binary<arith::AddIOp>(binary<arith::AddIOp>(first, binary<arith::MulIOp>(number, jump)),
                               within);
}

NestEmitter::Term NestEmitter::element(const KernelFrame::View &view, ArrayRef<Term> indices) {
  Term offset;
  Type i64 = builder.getI64Type();
  for (auto [index, viewStride] : llvm::zip(indices, view.strides)) {
    Term wide = hoistable(index.perRow, [&]() -> Value {
      return arith::ExtSIOp::create(
          builder, loc, index.isVector() ? Type(VectorType::get({width}, i64)) : i64, index.value);
    });
    Term part = binary<arith::MulIOp>(wide, Term{viewStride});
    offset = offset.value ? binary<arith::AddIOp>(offset, part) : part;
  }
  Type element = view.element.isInteger(1) ? builder.getI8Type() : view.element;
  int64_t bytes = element.getIntOrFloatBitWidth() / 8;
  return hoistable(offset.perRow, [&]() -> Value {
    Value loaded;
    if (offset.isVector()) {
      Type pointers = VectorType::get({width}, view.pointer.getType());
      Value addresses = LLVM::GEPOp::create(builder, loc, pointers, element, view.pointer,
                                            ValueRange{offset.value});
      Type type = VectorType::get({width}, element);
      Value every = arith::ConstantOp::create(
          builder, loc,
          DenseElementsAttr::get(VectorType::get({width}, builder.getI1Type()), true));
      loaded = LLVM::masked_gather::create(builder, loc, type, addresses, every,
                                           ValueRange{lowering.zero(type)},
                                           static_cast<uint32_t>(bytes));
    } else {
      loaded = LLVM::LoadOp::create(builder, loc, element,
                                    frame.pointerAt(view.pointer, frame.mul(offset.value, bytes)),
                                    static_cast<unsigned>(bytes));
    }
    if (view.element.isInteger(1))
      return lowering.convert(loaded, builder.getI1Type());
    return isa<FloatType>(view.element) ? lowering.convert(loaded, builder.getF32Type()) : loaded;
  });
}

NestEmitter::Term NestEmitter::counted(Operation *op, int vector) {
  auto window = dyn_cast<tile::PositionOp>(op);
  if (!window)
    return hoistable(false, [&] { return rowsOfLanes(frame.constant32(0), vector); });
  const KernelFrame::Positions &positions = frame.positions(window.getPositions());
  Value first = lowering.scalars.lookup(window.getRow());
  Term index = hoistable(false, [&] { return rowsOfLanes(first, vector); });
  if (int64_t group = frame.groupSize(); group != 1 && positions.extent == "Nq")
    index =
        binary<arith::DivUIOp>(index, hoistable(false, [&] { return frame.constant32(group); }));
  return position(positions, index);
}

NestEmitter::Term NestEmitter::apply(tile::ApplyOp op, int vector) {
  auto function = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(op, op.getFunctionAttr());
  const KernelFrame::Positions &queries = frame.positions(op.getQueryPositions());
  const KernelFrame::Positions &keys = frame.positions(op.getKeyPositions());
  bool queriesAlongLanes = laneAxis == 0;

  // Rows of the shards, as they are and clamped to what exists: outside nothing is read.
  auto rowsOf = [&](Value start, bool alongLanes) -> Term {
    Value first = lowering.scalars.lookup(start);
    if (alongLanes)
      return hoistable(false, [&] { return rowsOfLanes(first, vector); });
    return hoistable(!line, [&]() -> Value {
      return arith::AddIOp::create(builder, loc, first, frame.narrow(row));
    });
  };
  Term packed = rowsOf(op.getQueryRow(), queriesAlongLanes),
       key = rowsOf(op.getKeyRow(), !queriesAlongLanes);
  auto fixed = [&](auto make) { return hoistable(false, make); };
  Term packedCount = fixed([&] { return frame.narrow(frame.extent(queries.extent)); });
  Term keyCount = fixed([&] { return frame.narrow(frame.extent(keys.extent)); });
  Term one = fixed([&] { return frame.constant32(1); });
  Term inside = binary<arith::AndIOp>(compare(arith::CmpIPredicate::slt, packed, packedCount),
                                      compare(arith::CmpIPredicate::slt, key, keyCount));
  Term clampedPacked = binary<arith::MinSIOp>(packed, binary<arith::SubIOp>(packedCount, one));
  Term keyRow = binary<arith::MinSIOp>(key, binary<arith::SubIOp>(keyCount, one));
  Term queryRow = clampedPacked, member = fixed([&] { return frame.constant32(0); });
  if (int64_t group = frame.groupSize(); group != 1) {
    Term size = fixed([&] { return frame.constant32(group); });
    queryRow = binary<arith::DivUIOp>(clampedPacked, size);
    member = binary<arith::RemUIOp>(clampedPacked, size);
  }
  Term headStep = fixed([&] { return frame.headStep(); });
  Term headBase = fixed([&] { return frame.headBase(); });
  Term head = binary<arith::AddIOp>(binary<arith::MulIOp>(member, headStep), headBase);

  llvm::DenseMap<Value, Term> terms;
  SmallVector<Term> arguments;
  if (op.getOperand())
    arguments.push_back(evaluate(op.getOperand(), vector));
  arguments.append({Term{frame.batch()}, head, position(queries, queryRow), position(keys, keyRow),
                    queryRow, keyRow});
  for (auto [argument, term] : llvm::zip(function.getArguments(), arguments))
    terms[argument] = term;
  llvm::DenseMap<Value, const KernelFrame::View *> views;
  for (auto [argument, parameter] :
       llvm::zip(function.getArguments().drop_front(arguments.size()), op.getParameters())) {
    if (isa<tile::ViewType>(parameter.getType()))
      views[argument] = &frame.view(parameter);
    else
      terms[argument] = Term{lowering.scalars.lookup(parameter)};
  }

  for (Operation &inner : function.front().without_terminator()) {
    if (auto access = dyn_cast<tile::ElementOp>(inner)) {
      SmallVector<Term> indices;
      for (auto [axis, index] : llvm::enumerate(access.getIndices())) {
        Term at = terms.lookup(index);
        if (!access.isInside(static_cast<int64_t>(axis))) {
          Term end = fixed(
              [&] { return lowering.scalarCode.lastIndex(access.getView().getType(), axis); });
          Term zero = fixed([&] { return frame.constant32(0); });
          at = binary<arith::MaxSIOp>(binary<arith::MinSIOp>(at, end), zero);
        }
        indices.push_back(at);
      }
      terms[access.getResult()] = element(*views.lookup(access.getView()), indices);
      continue;
    }
    SmallVector<Term> operands;
    for (Value operand : inner.getOperands())
      operands.push_back(terms.lookup(operand));
    terms[inner.getResult(0)] = elementwise(&inner, operands);
  }
  Term result = terms.lookup(function.front().getTerminator()->getOperand(0));
  return op.getOperand() ? result : binary<arith::AndIOp>(inside, result);
}
