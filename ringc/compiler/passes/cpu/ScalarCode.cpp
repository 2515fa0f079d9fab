#include "ringc/compiler/passes/cpu/ScalarCode.h"

#include "ringc/compiler/passes/ElementFunctions.h"
#include "ringc/compiler/passes/cpu/VectorMath.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace ringc;
using cpu::KernelFrame;

ScalarCode::Range ScalarCode::rangeOf(Value first, int64_t size, StringRef extent) {
  Value count = frame.narrow(frame.extent(extent));
  Value end = arith::AddIOp::create(builder, loc, first, frame.constant32(size));
  Value last = arith::MinSIOp::create(builder, loc, end, count);
  last = arith::SubIOp::create(builder, loc, last, frame.constant32(1));
  return {first, last, arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::sgt, end, count)};
}

Value ScalarCode::visibility(tile::VisibilityOp op, const Range &packed, const Range &key) {
  const KernelFrame::Positions &queries = frame.positions(op.getQueryPositions());
  const KernelFrame::Positions &keys = frame.positions(op.getKeyPositions());
  Value group = frame.constant32(frame.groupSize());
  Value firstQuery = packed.first, lastQuery = packed.last;
  if (frame.groupSize() != 1) {
    firstQuery = arith::DivUIOp::create(builder, loc, packed.first, group);
    lastQuery = arith::DivUIOp::create(builder, loc, packed.last, group);
  }
  Value firstHead = frame.head(frame.constant32(0)),
        lastHead = frame.head(frame.constant32(frame.groupSize() - 1));
  SmallVector<Value> arguments{frame.batch(),
                               firstHead,
                               lastHead,
                               frame.position(queries, firstQuery),
                               frame.position(queries, lastQuery),
                               frame.position(keys, key.first),
                               frame.position(keys, key.last),
                               firstQuery,
                               lastQuery,
                               key.first,
                               key.last};
  arguments.append(op.getParameters().begin(), op.getParameters().end());
  return call(SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(op, op.getFunctionAttr()),
              arguments);
}

Value ScalarCode::visibility(tile::VisibilityOp op) {
  Range queries = rangeOf(scalars.lookup(op.getQueryRow()), op.getQueries(),
                          frame.positions(op.getQueryPositions()).extent);
  Range keys = rangeOf(scalars.lookup(op.getKeyRow()), op.getKeys(),
                       frame.positions(op.getKeyPositions()).extent);
  Value visible = visibility(op, queries, keys);
  Value clipped = arith::MinSIOp::create(builder, loc, visible, frame.constant32(1));
  Value outside = arith::OrIOp::create(builder, loc, queries.outside, keys.outside);
  return arith::SelectOp::create(builder, loc, outside, clipped, visible);
}

Value ScalarCode::isVisible(tile::VisibilityOp op, Value query, int64_t queries, Value key,
                            int64_t keys) {
  auto part = [&](Value window, Value offset, int64_t size, StringRef extent) {
    Value first = arith::AddIOp::create(builder, loc, scalars.lookup(window), offset);
    return rangeOf(first, size, extent);
  };
  Range rows =
      part(op.getQueryRow(), query, queries, frame.positions(op.getQueryPositions()).extent);
  Range columns = part(op.getKeyRow(), key, keys, frame.positions(op.getKeyPositions()).extent);
  auto compare = [&](arith::CmpIPredicate predicate, Value a, Value b) -> Value {
    return arith::CmpIOp::create(builder, loc, predicate, a, b);
  };
  Value any = compare(arith::CmpIPredicate::ne, visibility(op, rows, columns), frame.constant32(0));
  for (const Range &range : {rows, columns})
    any = arith::AndIOp::create(builder, loc, any,
                                compare(arith::CmpIPredicate::sle, range.first, range.last));
  return any;
}

/// The body of a scalar function at the current place. Views among the arguments are the kernel's
/// own.
Value ScalarCode::call(func::FuncOp function, ArrayRef<Value> arguments) {
  IRMapping mapping;
  for (auto [argument, value] : llvm::zip(function.getArguments(), arguments)) {
    Value scalar = scalars.lookup(value);
    mapping.map(argument, scalar ? scalar : value);
  }
  for (Operation &inner : function.front().without_terminator())
    expand(builder.clone(inner, mapping), &mapping, &inner);
  return mapping.lookup(function.front().getTerminator()->getOperand(0));
}

/// Replaces what has no scalar form of its own in `op` and its regions.
void ScalarCode::expand(Operation *made, IRMapping *mapping, Operation *original) {
  SmallVector<Operation *> inside;
  made->walk([&](Operation *op) { inside.push_back(op); });
  for (Operation *op : inside) {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPoint(op);
    Value replacement;
    if (auto access = dyn_cast<tile::ElementOp>(op))
      replacement = element(access);
    else if (Value written = elementFunction(builder, loc, op, op->getOperands()))
      replacement = written;
    else if (isa<arith::FloorDivSIOp, math::AbsIOp, arith::MaxNumFOp, arith::MinNumFOp>(op))
      replacement = cpu::emitSpecial(builder, loc, op, op->getOperands(), {});
    if (!replacement)
      continue;
    op->getResult(0).replaceAllUsesWith(replacement);
    if (op == made)
      mapping->map(original->getResult(0), replacement);
    op->erase();
  }
}

/// The last index of an axis of a view, i32.
Value ScalarCode::lastIndex(tile::ViewType type, size_t axis) {
  int64_t number = type.getStaticExtent(static_cast<int64_t>(axis));
  if (number >= 0)
    return frame.constant32(number - 1);
  Value extent = frame.narrow(frame.extent(type.getExtentName(static_cast<int64_t>(axis))));
  return arith::SubIOp::create(builder, loc, extent, frame.constant32(1));
}

Value ScalarCode::element(tile::ElementOp access) {
  if (access.getFill())
    return elementOr(access);
  const KernelFrame::View &view = frame.view(access.getView());
  Value offset = frame.constant(0);
  for (auto [axis, index] : llvm::enumerate(access.getIndices())) {
    Value computed = scalars.lookup(index);
    Value at = computed ? computed : index; // of the kernel, or of a function written out in it
    if (!access.isInside(static_cast<int64_t>(axis))) {
      Value last = lastIndex(access.getView().getType(), axis);
      at = builder.createOrFold<arith::MinSIOp>(loc, at, last);
      at = builder.createOrFold<arith::MaxSIOp>(loc, at, frame.constant32(0));
    }
    offset = frame.add(offset, frame.mul(frame.widen(at), view.strides[axis]));
  }
  return loadElement(view, offset);
}

Value ScalarCode::loadElement(const KernelFrame::View &view, Value offset) {
  Type element = view.element.isInteger(1) ? builder.getI8Type() : view.element;
  int64_t bytes = element.getIntOrFloatBitWidth() / 8;
  Value loaded = LLVM::LoadOp::create(builder, loc, element,
                                      frame.pointerAt(view.pointer, frame.mul(offset, bytes)),
                                      static_cast<unsigned>(bytes));
  if (!view.element.isInteger(1))
    return loaded;
  Value zero = arith::ConstantIntOp::create(builder, loc, 0, 8);
  return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ne, loaded, zero);
}

/// The element where it is inside the view, and nothing is read elsewhere.
Value ScalarCode::elementOr(tile::ElementOp access) {
  const KernelFrame::View &view = frame.view(access.getView());
  tile::ViewType type = access.getView().getType();
  Value in, offset = frame.constant(0);
  for (int64_t axis = 0; axis < type.getRank(); ++axis) {
    Value at = scalars.lookup(access.getIndices()[static_cast<unsigned>(axis)]);
    offset = frame.add(offset, frame.offsetAlong(view, type, axis, at));
    if (access.isInside(axis))
      continue;
    Value within = frame.isWithin(type, axis, at);
    in = in ? arith::AndIOp::create(builder, loc, in, within).getResult() : within;
  }
  if (!in)
    return loadElement(view, offset);
  auto branch = scf::IfOp::create(builder, loc, TypeRange{view.element}, in, /*withElse=*/true);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(branch.thenBlock());
  scf::YieldOp::create(builder, loc, loadElement(view, offset));
  builder.setInsertionPointToStart(branch.elseBlock());
  scf::YieldOp::create(builder, loc, scalars.lookup(access.getFill()));
  return branch.getResult(0);
}

bool ScalarCode::lower(Operation *op) {
  if (auto id = dyn_cast<tile::ProgramIdOp>(op))
    scalars[id.getResult()] = frame.narrow(frame.programId(static_cast<int>(id.getAxis())));
  else if (auto own = dyn_cast<tile::OwnIndexOp>(op))
    scalars[own.getResult()] = frame.ownIndex(own.getExtent());
  else if (auto extent = dyn_cast<tile::ExtentOp>(op))
    scalars[extent.getResult()] = frame.narrow(frame.extent(extent.getName()));
  else if (auto shown = dyn_cast<tile::VisibilityOp>(op))
    scalars[shown.getResult()] = visibility(shown);
  else if (auto access = dyn_cast<tile::ElementOp>(op))
    scalars[access.getResult()] = element(access);
  else if (auto shifted = dyn_cast<tile::ShiftOp>(op))
    frame.shift(shifted, scalars.lookup(shifted.getBy()));
  else if (auto slice = dyn_cast<tile::SliceOp>(op))
    frame.addSlice(slice, llvm::map_to_vector(slice.getIndices(),
                                              [&](Value index) { return scalars.lookup(index); }));
  else
    return false;
  return true;
}
