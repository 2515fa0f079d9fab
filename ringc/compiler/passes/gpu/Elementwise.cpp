#include "ringc/compiler/passes/gpu/Elementwise.h"

#include "ringc/compiler/passes/ElementFunctions.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace ringc;
using namespace ringc::gpu;
using Kind = FragmentLayout::Kind;

static Type elementOf(Value value) { return getElementTypeOrSelf(value.getType()); }

Value Elementwise::elementwise(Operation *op, ArrayRef<Value> operands) {
  Type f32 = builder.getF32Type();
  if (isa<math::Exp2Op>(op))
    return intrinsic(f32, "llvm.nvvm.ex2.approx.ftz.f", operands);
  if (isa<math::Log2Op>(op))
    return intrinsic(f32, "llvm.nvvm.lg2.approx.f", operands);
  if (isa<math::TanhOp>(op))
    return tanh(operands[0]);
  if (Value made = elementFunction(builder, loc, op, operands))
    return made;
  if (isa<arith::DivFOp>(op)) {
    if (Value inverse = reciprocals.lookup(operands[1]))
      return arith::MulFOp::create(builder, loc, operands[0], inverse);
    return intrinsic(f32, "llvm.nvvm.div.full", operands); // within two units in the last place
  }
  if (isa<arith::SubIOp>(op) && operands[0].getType().isInteger(32))
    return subtract(operands[0], operands[1]);
  OperationState state(loc, op->getName(), operands, {elementOf(op->getResult(0))}, op->getAttrs());
  Operation *made = builder.create(state);
  if (!tile::isTile(op->getResult(0).getType()) &&
      isa<arith::AddFOp, arith::SubFOp, arith::MulFOp>(made))
    made->setAttr("fastmath", arith::FastMathFlagsAttr::get(builder.getContext(),
                                                            arith::FastMathFlags::contract));
  if (isa<arith::FloorDivSIOp, math::AbsIOp>(made)) {
    IRMapping mapping;
    mapping.map(op->getResult(0), made->getResult(0));
    code.scalarCode.expand(made, &mapping, op);
    return mapping.lookup(op->getResult(0));
  }
  return made->getResult(0);
}

/// 0, 1, 2, ... or positions of a column or a row.
Fragment Elementwise::counted(Operation *op) {
  Value result = op->getResult(0);
  FragmentLayout layout = layoutOf(result);
  auto window = dyn_cast<tile::PositionOp>(op);
  int longAxis = cast<RankedTensorType>(result.getType()).getDimSize(0) > 1 ? 0 : 1;
  Fragment made{layout, {}};
  for (int64_t e = 0; e < layout.count(); ++e) {
    bool alongM =
        layout.kind == Kind::AlongM || (layout.kind == Kind::Matrix && layout.mAxis == longAxis);
    Value index = layout.kind == Kind::Single ? i32(0)
                  : alongM                    ? mAt(layout.mOf(e))
                                              : nAt(layout.nOf(e));
    if (window) {
      const cpu::KernelFrame::Positions &positions = frame.positions(window.getPositions());
      index = add(scalars.lookup(window.getRow()), index);
      if (frame.groupSize() != 1 && positions.extent == "Nq")
        index = arith::DivUIOp::create(builder, loc, index, i32(frame.groupSize()));
      index = position(positions, index);
    }
    made.elements.push_back(index);
  }
  return made;
}

LogicalResult Elementwise::lower(Operation *op) {
  Value result = op->getResult(0);
  if (isa<arith::ConstantOp>(op))
    return fragmentOf(result) ? success() : op->emitOpError("is not a constant of one value");
  if (auto splat = dyn_cast<tile::SplatOp>(op)) {
    fragments[result] = {{}, {scalars.lookup(splat.getValue())}};
    return success();
  }
  if (isa<tile::IotaOp, tile::PositionOp>(op)) {
    fragments[result] = counted(op);
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
