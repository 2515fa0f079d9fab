#include "compiler/passes/gpu/Lowering.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace ringc;
using namespace ringc::gpu;
using cpu::KernelFrame;
using Kind = FragmentLayout::Kind;

static Type elementOf(Value value) { return getElementTypeOrSelf(value.getType()); }

/// The least layout that holds what depends on both.
static FragmentLayout joined(const FragmentLayout &a, const FragmentLayout &b,
                             const FragmentLayout &matrix) {
  if (a.kind == b.kind || b.kind == Kind::Single)
    return a;
  return a.kind == Kind::Single ? b : matrix;
}

Value Lowering::elementwise(Operation *op, ArrayRef<Value> operands) {
  Type f32 = builder.getF32Type();
  if (isa<math::Exp2Op>(op))
    return intrinsic(f32, "llvm.nvvm.ex2.approx.ftz.f", operands);
  if (isa<math::Log2Op>(op))
    return intrinsic(f32, "llvm.nvvm.lg2.approx.f", operands);
  if (isa<math::TanhOp>(op))
    return tanh(operands[0]);
  if (isa<arith::DivFOp>(op)) {
    if (Value inverse = reciprocals.lookup(operands[1]))
      return arith::MulFOp::create(builder, loc, operands[0], inverse);
    return intrinsic(f32, "llvm.nvvm.div.full", operands); // within two units in the last place
  }
  if (isa<arith::SubIOp>(op) && operands[0].getType().isInteger(32))
    return subtract(operands[0], operands[1]);
  OperationState state(loc, op->getName(), operands, {elementOf(op->getResult(0))}, op->getAttrs());
  Operation *made = builder.create(state);
  if (isa<arith::AddFOp, arith::SubFOp, arith::MulFOp>(made))
    made->setAttr("fastmath", arith::FastMathFlagsAttr::get(builder.getContext(),
                                                            arith::FastMathFlags::contract));
  if (isa<arith::FloorDivSIOp, math::AbsIOp>(made)) {
    IRMapping mapping;
    mapping.map(op->getResult(0), made->getResult(0));
    scalarCode.expand(made, &mapping, op);
    return mapping.lookup(op->getResult(0));
  }
  return made->getResult(0);
}

LogicalResult Lowering::lowerElementwise(Operation *op) {
  Value result = op->getResult(0);
  if (isa<arith::ConstantOp>(op))
    return fragmentOf(result) ? success() : op->emitOpError("is not a constant of one value");
  if (auto splat = dyn_cast<tile::SplatOp>(op)) {
    fragments[result] = {{}, {scalars.lookup(splat.getValue())}};
    return success();
  }
  if (auto transpose = dyn_cast<tile::TransposeOp>(op)) {
    // The same registers; whoever reads a tile in shared memory looks through the transpose.
    if (std::optional<Fragment> fragment = fragmentOf(transpose.getOperand())) {
      if (fragment->layout.kind == Kind::Matrix)
        fragment->layout.mAxis = 1 - fragment->layout.mAxis;
      fragments[result] = *fragment;
    }
    return success();
  }
  FragmentLayout full = layoutOf(result);
  SmallVector<Fragment> operands;
  FragmentLayout layout;
  for (Value operand : op->getOperands()) {
    FailureOr<Fragment> fragment = whole(operand, op);
    if (failed(fragment))
      return failure();
    layout = joined(layout, fragment->layout, full);
    operands.push_back(*fragment);
  }
  if (isa<tile::BroadcastOp>(op)) {
    Kind along = cast<RankedTensorType>(op->getOperand(0).getType()).getDimSize(full.mAxis) > 1
                     ? Kind::AlongM
                     : Kind::AlongN;
    if (full.kind == Kind::Matrix && layout.kind != Kind::Single && layout.kind != along)
      return op->emitOpError("needs a row or column the other way round, for which there is no "
                             "conversion between registers");
    fragments[result] = operands.front(); // expanded where a matrix of it is needed
    return success();
  }
  // Many elements divided by one number are multiplied by its reciprocal.
  reciprocals.clear();
  if (isa<arith::DivFOp>(op) && operands[1].layout.count() < layout.count())
    for (Value divisor : operands[1].elements)
      reciprocals[divisor] = reciprocal(divisor);
  Fragment made{layout, {}};
  for (int64_t e = 0; e < layout.count(); ++e) {
    SmallVector<Value> values;
    for (const Fragment &operand : operands)
      values.push_back(
          operand.elements[static_cast<size_t>(operand.layout.at(layout.mOf(e), layout.nOf(e)))]);
    made.elements.push_back(elementwise(op, values));
  }
  fragments[result] = made;
  return success();
}

/// Constants last, where rows that differ by constants have positions that do.
Value Lowering::position(const KernelFrame::Positions &positions, Value row) {
  return positions.layout == "contiguous" ? add(positions.first, row)
                                          : frame.position(positions, row);
}

/// Whether a mask or score reads memory at i, j, queryRow or keyRow, its arguments from `i` on.
static bool readsAtRows(func::FuncOp function, unsigned i) {
  return llvm::any_of(function.getOps<tile::ElementOp>(), [&](tile::ElementOp access) {
    return llvm::any_of(access.getIndices(), [&](Value index) {
      auto argument = dyn_cast<BlockArgument>(index);
      return argument && argument.getArgNumber() >= i && argument.getArgNumber() < i + 4;
    });
  });
}

Value Lowering::applyAt(tile::ApplyOp op, Value query, Value key, Value operand) {
  auto function = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(op, op.getFunctionAttr());
  const KernelFrame::Positions &queries = frame.positions(op.getQueryPositions());
  const KernelFrame::Positions &keys = frame.positions(op.getKeyPositions());
  auto less = [&](Value a, Value b) -> Value {
    return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::slt, a, b);
  };
  auto held = [&](Value row, Value count) -> Value {
    Value last = arith::SubIOp::create(builder, loc, count, i32(1));
    return arith::MinSIOp::create(builder, loc, row, last);
  };
  Value packedCount = frame.narrow(frame.extent(queries.extent));
  Value keyCount = frame.narrow(frame.extent(keys.extent));
  Value packed = add(scalars.lookup(op.getQueryRow()), query);
  Value keyRow = add(scalars.lookup(op.getKeyRow()), key);
  Value in; // what lies outside has a score like any other, but is not seen
  if (!operand)
    in = arith::AndIOp::create(builder, loc, less(packed, packedCount), less(keyRow, keyCount));
  Value queryRow = packed, member = i32(0);
  if (readsAtRows(function, operand ? 3 : 2)) {
    queryRow = held(packed, packedCount);
    keyRow = held(keyRow, keyCount);
  }
  if (int64_t group = frame.groupSize(); group != 1) {
    Value size = i32(group);
    member = arith::RemUIOp::create(builder, loc, queryRow, size);
    queryRow = arith::DivUIOp::create(builder, loc, queryRow, size);
  }
  SmallVector<Value> arguments;
  if (operand)
    arguments.push_back(operand);
  auto first = static_cast<unsigned>(arguments.size());
  auto used = [&](unsigned i) { return !function.getArgument(first + i).use_empty(); };
  arguments.append({used(0) ? frame.batch() : Value(), used(1) ? frame.head(member) : Value(),
                    used(2) ? position(queries, queryRow) : Value(),
                    used(3) ? position(keys, keyRow) : Value(), queryRow, keyRow});
  SmallVector<Value> values;
  llvm::DenseMap<Value, Value> terms;
  llvm::DenseMap<Value, const KernelFrame::View *> views;
  for (auto [argument, value] : llvm::zip(function.getArguments(), arguments))
    terms[argument] = value;
  for (auto [argument, parameter] :
       llvm::zip(function.getArguments().drop_front(arguments.size()), op.getParameters())) {
    if (isa<tile::ViewType>(parameter.getType()))
      views[argument] = &frame.view(parameter);
    else
      terms[argument] = scalars.lookup(parameter);
  }
  for (Operation &inner : function.front().without_terminator()) {
    if (auto access = dyn_cast<tile::ElementOp>(inner)) {
      const KernelFrame::View &view = *views.lookup(access.getView());
      Value offset = frame.constant(0);
      for (auto [axis, index] : llvm::enumerate(access.getIndices())) {
        Value at = terms.lookup(index);
        // b, h, j and the rows are inside by construction; what the user computes is held inside.
        if (!isa<BlockArgument>(index)) {
          Value end = scalarCode.lastIndex(access.getView().getType(), axis);
          at = arith::MaxSIOp::create(builder, loc, arith::MinSIOp::create(builder, loc, at, end),
                                      i32(0));
        }
        offset = frame.add(offset, frame.mul(frame.widen(at), view.strides[axis]));
      }
      Type element = view.element.isInteger(1) ? builder.getI8Type() : view.element;
      int64_t bytes = element.getIntOrFloatBitWidth() / 8;
      Value loaded = load(element, global(frame.pointerAt(view.pointer, frame.mul(offset, bytes))));
      if (view.element.isInteger(1))
        loaded =
            arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ne, loaded, zeroOf(element));
      else if (isa<FloatType>(element) && !element.isF32())
        loaded = arith::ExtFOp::create(builder, loc, builder.getF32Type(), loaded);
      terms[access.getResult()] = loaded;
      continue;
    }
    SmallVector<Value> operands;
    for (Value each : inner.getOperands())
      operands.push_back(terms.lookup(each));
    terms[inner.getResult(0)] = elementwise(&inner, operands);
  }
  Value result = terms.lookup(function.front().getTerminator()->getOperand(0));
  return operand ? result : arith::AndIOp::create(builder, loc, in, result).getResult();
}

LogicalResult Lowering::lowerApply(tile::ApplyOp op) {
  FragmentLayout layout = layoutOf(op.getResult());
  std::optional<Fragment> operand;
  if (op.getOperand()) {
    FailureOr<Fragment> given = whole(op.getOperand(), op);
    if (failed(given))
      return failure();
    operand = *given;
  }
  reciprocals.clear();
  auto function = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(op, op.getFunctionAttr());
  for (auto division : function.getOps<arith::DivFOp>()) {
    auto divisor = dyn_cast<BlockArgument>(division.getRhs());
    unsigned first = function.getNumArguments() - static_cast<unsigned>(op.getParameters().size());
    if (!divisor || divisor.getArgNumber() < first)
      continue;
    Value parameter = scalars.lookup(op.getParameters()[divisor.getArgNumber() - first]);
    reciprocals.try_emplace(parameter, reciprocal(parameter));
  }
  auto type = cast<RankedTensorType>(op.getResult().getType());
  Fragment made{layout, {}};
  for (int64_t e = 0; e < layout.count(); ++e) {
    int64_t m = layout.mOf(e), n = layout.nOf(e);
    // Queries are the rows of the tile, keys its columns.
    auto coordinate = [&](int axis) -> Value {
      if (type.getDimSize(axis) == 1)
        return i32(0);
      bool alongM =
          layout.kind == Kind::Matrix ? layout.mAxis == axis : layout.kind == Kind::AlongM;
      return alongM ? mAt(m) : nAt(n);
    };
    Value given =
        operand ? operand->elements[static_cast<size_t>(operand->layout.at(m, n))] : Value();
    made.elements.push_back(applyAt(op, coordinate(0), coordinate(1), given));
  }
  fragments[op.getResult()] = made;
  return success();
}
