#include "compiler/passes/cpu/ScalarCode.h"

#include "compiler/passes/cpu/VectorMath.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace ringc;
using cpu::KernelFrame;

Value ScalarCode::visibility(tile::VisibilityOp op) {
  auto i32 = [&](Value a, Value b, auto make) -> Value {
    return decltype(make)::create(builder, loc, a, b);
  };
  const KernelFrame::Positions &queries = frame.positions(op.getQueryPositions());
  const KernelFrame::Positions &keys = frame.positions(op.getKeyPositions());
  Value one = frame.constant32(1), group = frame.constant32(frame.groupSize());
  struct Range {
    Value first, last, outside;
  };
  auto rangeOf = [&](Value start, int64_t size, StringRef extent) {
    Value first = scalars.lookup(start), count = frame.narrow(frame.extent(extent));
    Value end = i32(first, frame.constant32(size), arith::AddIOp());
    Value last = i32(i32(end, count, arith::MinSIOp()), one, arith::SubIOp());
    Value outside = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::sgt, end, count);
    return Range{first, last, outside};
  };
  Range packed = rangeOf(op.getQueryRow(), op.getQueries(), queries.extent);
  Range key = rangeOf(op.getKeyRow(), op.getKeys(), keys.extent);
  Value firstQuery = packed.first, lastQuery = packed.last;
  if (frame.groupSize() != 1) {
    firstQuery = i32(packed.first, group, arith::DivUIOp());
    lastQuery = i32(packed.last, group, arith::DivUIOp());
  }
  Value firstHead = frame.head(frame.constant32(0)),
        lastHead = frame.head(i32(group, one, arith::SubIOp()));
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
  auto function = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(op, op.getFunctionAttr());
  Value visible = call(function, arguments);
  Range &loopRange = op.getLoopAxis() == 0 ? packed : key;
  Value clipped = i32(visible, one, arith::MinSIOp());
  return arith::SelectOp::create(builder, loc, loopRange.outside, clipped, visible);
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
  const KernelFrame::View &view = frame.view(access.getView());
  Value offset = frame.constant(0);
  for (auto [axis, index] : llvm::enumerate(access.getIndices())) {
    // In a visibility function the indices are ranges of the window; a kernel's own are held inside
    // the view.
    Value at = index;
    if (Value computed = scalars.lookup(index)) {
      at = arith::MinSIOp::create(builder, loc, computed,
                                  lastIndex(access.getView().getType(), axis));
      at = arith::MaxSIOp::create(builder, loc, at, frame.constant32(0));
    }
    offset = frame.add(offset, frame.mul(frame.widen(at), view.strides[axis]));
  }
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
