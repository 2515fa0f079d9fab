// Masks and scores at the places of a tile.

#include "ringc/compiler/passes/gpu/Applied.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace ringc;
using namespace ringc::gpu;
using cpu::KernelFrame;
using Kind = FragmentLayout::Kind;

template <class Op> static func::FuncOp functionOf(Op op) {
  return SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(op, op.getFunctionAttr());
}
Masks::Applied::At Masks::Applied::placeOf(tile::ApplyOp op) {
  return {functionOf(op),         static_cast<bool>(op.getOperand()),
          op.getQueryPositions(), op.getQueryRow(),
          op.getKeyPositions(),   op.getKeyRow(),
          op.getParameters()};
}
Masks::Applied::At Masks::Applied::placeOf(block::ShareSeenOp op) {
  return {functionOf(op),       false,          op.getQueryPositions(), op.getQueryRow(),
          op.getKeyPositions(), op.getKeyRow(), op.getParameters()};
}

Masks::Applied::Applied(Masks &owner, const At &given)
    : lowering(owner), place(given), function(given.function) {
  for (auto [argument, parameter] : llvm::zip(parameters(), place.parameters)) {
    if (isa<tile::ViewType>(parameter.getType()))
      views[argument] = &lowering.frame.view(parameter);
    else
      terms[argument] = lowering.scalars.lookup(parameter);
  }
  set(Batch, [&] { return lowering.frame.batch(); });
  readsAtRows = llvm::any_of(function.getOps<tile::ElementOp>(), [&](tile::ElementOp access) {
    return llvm::any_of(access.getInside(), [&](int64_t axis) {
      return llvm::is_contained(
          {argument(QueryPosition), argument(KeyPosition), argument(QueryRow), argument(KeyRow)},
          access.getIndices()[axis]);
    });
  });
}

void Masks::Applied::set(FunctionArgument which, llvm::function_ref<Value()> value) {
  if (!argument(which).use_empty())
    terms[argument(which)] = value();
}

Value Masks::Applied::heldInside(Value row, Value count) {
  if (!readsAtRows)
    return row;
  Value last = arith::SubIOp::create(lowering.builder, lowering.loc, count, lowering.i32(1));
  return arith::MinSIOp::create(lowering.builder, lowering.loc, row, last);
}

void Masks::Applied::placeQuery(Value query) {
  const KernelFrame::Positions &positions = lowering.frame.positions(place.queryPositions);
  Value count = lowering.frame.narrow(lowering.frame.extent(positions.extent));
  Value row = heldInside(lowering.add(lowering.scalars.lookup(place.queryRow), query), count);
  Value member = lowering.i32(0);
  if (int64_t group = lowering.frame.groupSize(); group != 1) {
    Value size = lowering.i32(group);
    member = arith::RemUIOp::create(lowering.builder, lowering.loc, row, size);
    row = arith::DivUIOp::create(lowering.builder, lowering.loc, row, size);
  }
  set(Head, [&] { return lowering.frame.head(member); });
  set(QueryPosition, [&] { return lowering.position(positions, row); });
  set(QueryRow, [&] { return row; });
}

void Masks::Applied::placeKey(Value key) {
  const KernelFrame::Positions &positions = lowering.frame.positions(place.keyPositions);
  Value count = lowering.frame.narrow(lowering.frame.extent(positions.extent));
  Value row = heldInside(lowering.add(lowering.scalars.lookup(place.keyRow), key), count);
  set(KeyPosition, [&] { return lowering.position(positions, row); });
  set(KeyRow, [&] { return row; });
}

Value Masks::Applied::element(tile::ElementOp access) {
  KernelFrame &frame = lowering.frame;
  OpBuilder &builder = lowering.builder;
  Location loc = lowering.loc;
  const KernelFrame::View &view = *views.lookup(access.getView());
  Value offset = frame.constant(0);
  for (auto [axis, index] : llvm::enumerate(access.getIndices())) {
    Value at = valueOf(index);
    if (!access.isInside(static_cast<int64_t>(axis))) {
      Value end = lowering.code.scalarCode.lastIndex(access.getView().getType(), axis);
      at = arith::MaxSIOp::create(builder, loc, arith::MinSIOp::create(builder, loc, at, end),
                                  lowering.i32(0));
    }
    offset = frame.add(offset, frame.mul(frame.widen(at), view.strides[axis]));
  }
  Type type = typeInMemory(view.element);
  Value pointer = frame.pointerAt(view.pointer, frame.mul(offset, bytesInMemory(view.element)));
  Value loaded = lowering.load(type, lowering.global(pointer));
  if (view.element.isInteger(1))
    return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ne, loaded,
                                 lowering.zeroOf(type));
  if (isa<FloatType>(type) && !type.isF32())
    return arith::ExtFOp::create(builder, loc, builder.getF32Type(), loaded);
  return loaded;
}

Value Masks::Applied::valueOf(Value value) {
  if (Value known = terms.lookup(value))
    return known;
  assert(value.getDefiningOp() && "an argument that has not been placed");
  // Operands first, by a list: expressions may be deep.
  SmallVector<Operation *> open{value.getDefiningOp()};
  while (!open.empty()) {
    Operation *maker = open.back();
    size_t before = open.size();
    for (Value operand : maker->getOperands())
      if (operand.getDefiningOp() && !terms.count(operand))
        open.push_back(operand.getDefiningOp());
    if (open.size() > before)
      continue;
    open.pop_back();
    if (terms.count(maker->getResult(0)))
      continue;
    if (auto access = dyn_cast<tile::ElementOp>(maker)) {
      terms[access.getResult()] = element(access);
      continue;
    }
    SmallVector<Value> operands;
    for (Value operand : maker->getOperands())
      operands.push_back(terms.lookup(operand));
    terms[maker->getResult(0)] = lowering.elementwise(maker, operands);
  }
  return terms.lookup(value);
}

/// What a function divides by that all elements have in common is inverted once.
void Masks::invertDivisors(Applied &applied) {
  reciprocals.clear();
  auto function = applied.function;
  for (auto division : function.getOps<arith::DivFOp>())
    if (auto parameter = llvm::find(applied.parameters(), division.getRhs());
        parameter != applied.parameters().end()) {
      Value divisor = applied.valueOf(*parameter);
      reciprocals.try_emplace(divisor, reciprocal(divisor));
    }
}

LogicalResult Masks::lower(tile::ApplyOp op) {
  FragmentLayout layout = layoutOf(op.getResult());
  Applied applied(*this, Applied::placeOf(op));
  invertDivisors(applied);
  auto type = cast<RankedTensorType>(op.getResult().getType());
  // Queries are the rows of the tile, keys its columns.
  auto isAlongM = [&](int axis) {
    return layout.kind == Kind::Matrix ? layout.mAxis == axis : layout.kind == Kind::AlongM;
  };
  auto coordinate = [&](int axis, int64_t m, int64_t n) -> Value {
    if (layout.kind != Kind::Matrix && type.getDimSize(axis) == 1)
      return i32(0);
    return isAlongM(axis) ? mAt(m) : nAt(n);
  };
  Fragment made{layout, {}};
  if (!op.getOperand()) {
    bool keys = type.getDimSize(1) > 1 ? !isAlongM(1) : isAlongM(0); // n counts them
    VisibleRows visible(applied, keys);
    for (int64_t e = 0; e < layout.count(); ++e) {
      int64_t m = layout.mOf(e), n = layout.nOf(e);
      made.elements.push_back(
          visible.at(m, coordinate(keys ? 0 : 1, m, n), coordinate(keys ? 1 : 0, m, n)));
    }
    fragments[op.getResult()] = made;
    return success();
  }
  FailureOr<Fragment> operand = whole(op.getOperand(), op);
  if (failed(operand))
    return failure();
  for (int64_t e = 0; e < layout.count(); ++e) {
    int64_t m = layout.mOf(e), n = layout.nOf(e);
    Applied here = applied;
    here.placeOperand(operand->elements[static_cast<size_t>(operand->layout.at(m, n))]);
    here.placeQuery(coordinate(0, m, n));
    here.placeKey(coordinate(1, m, n));
    made.elements.push_back(here.result());
  }
  fragments[op.getResult()] = made;
  return success();
}
