#include "ringc/compiler/passes/cpu/KernelFrame.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;
using namespace ringc;
using namespace ringc::cpu;
using tile::TileDialect;

Value KernelFrame::constant(int64_t value) {
  return arith::ConstantIntOp::create(builder, loc, value, 64);
}
Value KernelFrame::constant32(int64_t value) {
  return arith::ConstantIntOp::create(builder, loc, value, 32);
}
Value KernelFrame::add(Value a, Value b) { return arith::AddIOp::create(builder, loc, a, b); }
Value KernelFrame::mul(Value a, Value b) { return arith::MulIOp::create(builder, loc, a, b); }
Value KernelFrame::widen(Value i32) {
  return arith::ExtSIOp::create(builder, loc, builder.getI64Type(), i32);
}
Value KernelFrame::narrow(Value i64) {
  return arith::TruncIOp::create(builder, loc, builder.getI32Type(), i64);
}
Value KernelFrame::pointerAt(Value pointer, Value byteOffset) {
  return LLVM::GEPOp::create(builder, loc, pointer.getType(), builder.getI8Type(), pointer,
                             ValueRange{byteOffset});
}

Value KernelFrame::slot(int index, Type type) {
  Value address = pointerAt(slots, constant(8 * int64_t(index)));
  return LLVM::LoadOp::create(builder, loc, type, address, /*alignment=*/8);
}

static int64_t bytesOf(Type element) {
  return element.isInteger(1) ? 1 : element.getIntOrFloatBitWidth() / 8;
}

void KernelFrame::enterHost(func::FuncOp kernel) {
  Type pointer = LLVM::LLVMPointerType::get(builder.getContext()), i64 = builder.getI64Type();
  function =
      func::FuncOp::create(builder, loc, (kernel.getName() + ".host").str(),
                           builder.getFunctionType({pointer, i64, i64, i64, i64, pointer}, {}));
  Block *body = function.addEntryBlock();
  builder.setInsertionPointToStart(body);
  slots = body->getArgument(0);
  p0 = body->getArgument(1);
  p1 = body->getArgument(2);
  kvHead = body->getArgument(3);
  batch64 = body->getArgument(4);
  scratchPointer = body->getArgument(5);
}

void KernelFrame::enterDevice(func::FuncOp kernel, const CompiledKernel &interface) {
  Type pointer = LLVM::LLVMPointerType::get(builder.getContext()), i64 = builder.getI64Type();
  function = func::FuncOp::create(builder, loc, (kernel.getName() + ".device").str(),
                                  builder.getFunctionType({pointer}, {}));
  auto array = LLVM::LLVMArrayType::get(i64, static_cast<unsigned>(interface.slotCount));
  function.setArgAttr(0, LLVM::LLVMDialect::getByValAttrName(), TypeAttr::get(array));
  function.setArgAttr(0, LLVM::LLVMDialect::getAlignAttrName(), builder.getI64IntegerAttr(8));
  Block *body = function.addEntryBlock();
  builder.setInsertionPointToStart(body);
  slots = body->getArgument(0);
  auto wide = [&](Value index) -> Value {
    return arith::ExtUIOp::create(builder, loc, i64, index);
  };
  Type i32 = builder.getI32Type();
  p0 = wide(NVVM::BlockIdXOp::create(builder, loc, i32));
  // A second grid axis takes the place of the heads where a kernel has none, and shares x with the
  // first where it has (spreadPrograms).
  bool two = interface.grid.size() > 1, sharesX = two && interface.perHead;
  // Blocks start in the order of their numbers. Under a causal mask later queries see more keys:
  // the longest programs first, so that the last ones to run are short.
  if (!sharesX && !interface.grid.empty() && interface.grid.front().extent == "Nq") {
    Value last = arith::SubIOp::create(
        builder, loc, wide(NVVM::GridDimXOp::create(builder, loc, i32)), constant(1));
    p0 = arith::SubIOp::create(builder, loc, last, p0);
  }
  Value y = wide(NVVM::BlockIdYOp::create(builder, loc, i32));
  batch64 = wide(NVVM::BlockIdZOp::create(builder, loc, i32));
  p1 = two ? y : constant(0);
  kvHead = two && !sharesX ? constant(0) : y;
}

/// Block x of a kernel with heads and two grid axes is p0 * (programs along p1) + p1, those of
/// later queries first, too.
void KernelFrame::spreadPrograms(const CompiledKernel &interface) {
  Value x = narrow(p0), second = narrow(programsAlong(interface.grid[1]));
  p0 = arith::DivUIOp::create(builder, loc, x, second);
  p1 = widen(arith::RemUIOp::create(builder, loc, x, second));
  if (interface.grid.front().extent == "Nq") {
    Value first = narrow(programsAlong(interface.grid[0]));
    Value last = arith::SubIOp::create(builder, loc, first, constant32(1));
    p0 = arith::SubIOp::create(builder, loc, last, p0);
  }
  p0 = widen(p0);
}

Value KernelFrame::programsAlong(const GridAxis &axis) {
  int64_t number;
  if (!StringRef(axis.extent).getAsInteger(10, number))
    return constant(llvm::divideCeil(number, axis.step));
  Value rounded = add(extents.lookup(axis.extent), constant(axis.step - 1));
  return arith::DivSIOp::create(builder, loc, rounded, constant(axis.step));
}

Value KernelFrame::offsetAlong(const View &view, tile::ViewType type, int64_t axis, Value index) {
  Value stride = view.strides[static_cast<size_t>(axis)];
  if (!view.groupStride || group == 1 || type.getExtentName(axis) != "Nq")
    return mul(widen(index), stride);
  Value position = arith::DivUIOp::create(builder, loc, index, constant32(group));
  Value member = arith::RemUIOp::create(builder, loc, index, constant32(group));
  return add(mul(widen(position), stride), mul(widen(member), view.groupStride));
}

Value KernelFrame::isWithin(tile::ViewType type, int64_t axis, Value index) {
  int64_t number = type.getStaticExtent(axis);
  Value end = number >= 0 ? constant32(number) : narrow(extent(type.getExtentName(axis)));
  return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, index, end);
}

void KernelFrame::addSlice(tile::SliceOp slice, ArrayRef<Value> indices) {
  loc = slice.getLoc();
  View made = view(slice.getView());
  View of = made;
  tile::ViewType type = slice.getView().getType();
  made.strides.clear();
  Value offset;
  auto also = [&](Value &all, Value next, auto join) { all = all ? join(all, next) : next; };
  auto both = [&](Value a, Value b) -> Value { return arith::AndIOp::create(builder, loc, a, b); };
  for (int64_t axis = 0; axis < type.getRank(); ++axis) {
    auto indexed = llvm::find(slice.getAxes(), axis);
    if (indexed == slice.getAxes().end()) {
      made.strides.push_back(of.strides[static_cast<size_t>(axis)]);
      continue;
    }
    Value index = indices[static_cast<size_t>(indexed - slice.getAxes().begin())];
    also(offset, offsetAlong(of, type, axis, index), [&](Value a, Value b) { return add(a, b); });
    if (!slice.isInside(axis))
      also(made.inside, isWithin(type, axis, index), both);
    if (type.getExtentName(axis) == "Nq")
      made.groupStride = {};
  }
  made.pointer = pointerAt(made.pointer, mul(offset, bytesOf(made.element)));
  views[slice.getResult()] = made;
}

KernelFrame::KernelFrame(OpBuilder &b, func::FuncOp kernel, const CompiledKernel &interface,
                         Entry entry)
    : builder(b), loc(kernel.getLoc()) {
  Type pointer = LLVM::LLVMPointerType::get(b.getContext());
  Type i64 = b.getI64Type(), i32 = b.getI32Type();
  group = interface.groupSize;
  if (auto map = kernel->getAttrOfType<StringAttr>(TileDialect::headMapAttr))
    tiledHeads = map.getValue() == "tiled";

  b.setInsertionPointAfter(kernel);
  if (entry == Entry::Host)
    enterHost(kernel);
  else
    enterDevice(kernel, interface);

  for (const KernelArgument &argument : interface.arguments)
    if (argument.kind == KernelArgument::Kind::Extent) {
      Value value = slot(argument.slot, i64);
      extents[argument.name] = argument.name == "Nq" && group != 1 ? mul(value, group) : value;
    }
  if (entry == Entry::Device && interface.perHead && interface.grid.size() > 1)
    spreadPrograms(interface);
  // A grid counts its batch entries from 0. They are the last ones of B, which counts from the
  // first of the whole batch to the launch's last, as addresses and masks do.
  if (entry == Entry::Device && interface.perHead) {
    Value entries = NVVM::GridDimZOp::create(b, loc, i32);
    Value first = arith::SubIOp::create(b, loc, extents.lookup("B"),
                                        arith::ExtUIOp::create(b, loc, i64, entries));
    batch64 = add(batch64, first);
  }
  batchIndex = narrow(batch64);
  for (auto [argument, described] : llvm::zip(kernel.getArguments(), interface.arguments)) {
    int index = described.slot;
    switch (described.kind) {
    case KernelArgument::Kind::View: {
      auto type = cast<tile::ViewType>(argument.getType());
      View view;
      view.element = type.getElementType();
      view.pointer = slot(index++, pointer);
      int64_t implicit = static_cast<int64_t>(described.axes.size()) - type.getRank();
      if (implicit > 0) {
        Value offset = add(mul(slot(index, i64), batch64), mul(slot(index + 1, i64), kvHead));
        view.pointer = pointerAt(view.pointer, mul(offset, bytesOf(view.element)));
        if (implicit == 3)
          view.groupStride = slot(index + 2, i64);
        index += static_cast<int>(implicit);
      }
      for (int64_t axis = 0; axis < type.getRank(); ++axis)
        view.strides.push_back(slot(index++, i64));
      views[argument] = view;
      break;
    }
    case KernelArgument::Kind::Positions: {
      auto layout =
          kernel.getArgAttrOfType<StringAttr>(argument.getArgNumber(), TileDialect::layoutAttr);
      positionsOf[argument.getAsOpaquePointer()] = {
          slot(index, i32), slot(index + 1, i32), slot(index + 2, i32),
          layout ? layout.getValue() : StringRef("any"),
          cast<tile::PositionsType>(argument.getType()).getExtent().getValue()};
      break;
    }
    case KernelArgument::Kind::Carry: {
      Value flags = slot(index + 1, i64);
      auto bit = [&](int64_t mask) -> Value {
        Value masked = arith::AndIOp::create(b, loc, flags, constant(mask));
        return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, masked, constant(0));
      };
      Value begins = bit(1), ends = bit(2);
      Value both = arith::AndIOp::create(b, loc, begins, ends);
      Value yes = arith::ConstantIntOp::create(b, loc, 1, 1);
      carries[argument] = {slot(index, pointer), begins, ends,
                           arith::XOrIOp::create(b, loc, both, yes)};
      break;
    }
    case KernelArgument::Kind::Scalar:
      if (argument.getType().isInteger(1))
        scalars[argument] =
            arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, slot(index, i64), constant(0));
      else
        scalars[argument] = slot(index, argument.getType());
      break;
    case KernelArgument::Kind::Extent:
      break;
    }
  }

  if (!carries.empty()) {
    // The number of this program, and the size of a program's slot as a constant that finish()
    // fills in.
    auto programs = [&](size_t axis) { return programsAlong(interface.grid[axis]); };
    Value outer;
    if (interface.perHead)
      outer = add(kvHead, mul(batch64, extents.lookup("Hkv")));
    if (interface.grid.size() > 1)
      outer = outer ? add(p1, mul(programs(1), outer)) : p1;
    programIndex = outer ? add(p0, mul(programs(0), outer)) : p0;
    carrySize = constant(0).getDefiningOp();
    for (auto &[argument, carry] : carries)
      carry.pointer = pointerAt(carry.pointer, mul(programIndex, carrySize->getResult(0)));
  }
}

KernelFrame::Carry KernelFrame::carry(Value argument) { return carries.lookup(argument); }

void KernelFrame::finish() {
  if (carrySize)
    cast<arith::ConstantIntOp>(carrySize)->setAttr("value", builder.getI64IntegerAttr(carryBytes));
}

Value KernelFrame::headBase() {
  Value kv = narrow(kvHead);
  return tiledHeads ? kv : arith::MulIOp::create(builder, loc, kv, constant32(group)).getResult();
}

Value KernelFrame::headStep() {
  return tiledHeads && extents.contains("Hkv") ? narrow(extents.lookup("Hkv")) : constant32(1);
}

Value KernelFrame::head(Value member) {
  Value step = arith::MulIOp::create(builder, loc, member, headStep());
  return arith::AddIOp::create(builder, loc, headBase(), step);
}

void KernelFrame::shift(tile::ShiftOp op, Value by) {
  Positions shifted = positions(op.getPositions());
  shifted.first = arith::AddIOp::create(builder, op.getLoc(), shifted.first, by);
  positionsOf[op.getResult().getAsOpaquePointer()] = shifted;
}

Value KernelFrame::position(const Positions &positions, Value row) {
  auto sum = [&](Value a, Value b) -> Value { return arith::AddIOp::create(builder, loc, a, b); };
  auto product = [&](Value a, Value b) -> Value {
    return arith::MulIOp::create(builder, loc, a, b);
  };
  if (positions.layout == "contiguous")
    return sum(positions.first, row);
  if (positions.layout == "striped")
    return sum(positions.first, product(row, positions.jump));
  if (positions.layout == "zigzag") {
    Value second =
        arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::sge, row, positions.block);
    Value gap = arith::SubIOp::create(builder, loc, positions.jump, positions.block);
    Value before = arith::SelectOp::create(builder, loc, second, gap, constant32(0));
    return sum(sum(positions.first, row), before);
  }
  Value block = arith::DivUIOp::create(builder, loc, row, positions.block);
  Value within = arith::SubIOp::create(builder, loc, row, product(block, positions.block));
  return sum(sum(positions.first, product(block, positions.jump)), within);
}
