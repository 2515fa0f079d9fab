#include "ringc/compiler/passes/StorePlaces.h"
#include "ringc/compiler/passes/cpu/Lowering.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace ringc;
using namespace ringc::cpu;

static int64_t bytesInMemory(Type element) {
  return element.isInteger(1) ? 1 : element.getIntOrFloatBitWidth() / 8;
}

/// i1 lies in memory as a byte.
static Type typeInMemory(Type element) {
  return element.isInteger(1) ? IntegerType::get(element.getContext(), 8) : element;
}

/// Whether a product is the first row of a program, or less. Others may wrap.
static bool isOfProgram(arith::MulIOp product) {
  auto id = product.getLhs().getDefiningOp<tile::ProgramIdOp>();
  auto factor = product.getRhs().getDefiningOp<arith::ConstantIntOp>();
  auto grid = product->getParentOfType<func::FuncOp>()->getAttrOfType<ArrayAttr>(
      tile::TileDialect::gridAttr);
  if (!id || !factor || !grid || id.getAxis() >= grid.size())
    return false;
  auto axis = cast<ArrayAttr>(grid[id.getAxis()]);
  return factor.value() >= 0 && factor.value() <= cast<IntegerAttr>(axis[1]).getInt();
}

/// False where an offset is known to be 0 or more.
static bool mayBeNegative(Value offset) {
  Operation *op = offset.getDefiningOp();
  if (auto constant = dyn_cast_or_null<arith::ConstantIntOp>(op))
    return constant.value() < 0;
  if (auto product = dyn_cast_or_null<arith::MulIOp>(op))
    return !isOfProgram(product);
  auto argument = dyn_cast<BlockArgument>(offset);
  if (auto loop = argument ? dyn_cast<scf::ForOp>(argument.getOwner()->getParentOp()) : nullptr)
    return argument != loop.getInductionVar() || mayBeNegative(loop.getLowerBound());
  return !isa_and_nonnull<tile::ProgramIdOp, tile::ExtentOp>(op);
}

Lowering::Window Lowering::windowOf(tile::ViewType type, Value view, ValueRange offsets, Value rows,
                                    RankedTensorType tile, int phase) {
  Window window;
  if (rows)
    window.named = bufferIn(rows, plainFormat(rows), phase);
  window.view = &frame.view(view);
  window.tileRows = tile.getDimSize(0);
  window.tileColumns = tile.getDimSize(1);
  window.row = frame.widen(scalars.lookup(offsets[0]));
  auto extentOf = [&](int64_t axis) {
    int64_t number = type.getStaticExtent(axis);
    return number >= 0 ? frame.constant(number) : frame.extent(type.getExtentName(axis));
  };
  window.rows = extentOf(0);
  if (Value inside = window.view->inside)
    window.rows = arith::SelectOp::create(builder, loc, inside, window.rows, frame.constant(0));
  auto firstOf = [&](Value offset, Value widened, int64_t size) -> Value {
    if (!mayBeNegative(offset))
      return {};
    Value before = arith::SubIOp::create(builder, loc, frame.constant(0), widened);
    before = arith::MaxSIOp::create(builder, loc, before, frame.constant(0));
    return arith::MinSIOp::create(builder, loc, before, frame.constant(size));
  };
  if (!rows)
    window.firstRow = firstOf(offsets[0], window.row, window.tileRows);
  window.column = frame.constant(0);
  if (type.getRank() == 1)
    return window;
  auto start = scalars.lookup(offsets[1]).getDefiningOp<arith::ConstantOp>();
  bool atZero = start && cast<IntegerAttr>(start.getValue()).getInt() == 0;
  window.column = frame.widen(scalars.lookup(offsets[1]));
  window.firstColumn = firstOf(offsets[1], window.column, window.tileColumns);
  if (!(atZero && type.getStaticExtent(1) >= window.tileColumns)) {
    Value left = arith::SubIOp::create(builder, loc, extentOf(1), window.column);
    left = arith::MaxSIOp::create(builder, loc, left, frame.constant(0));
    window.columnsInside =
        arith::MinSIOp::create(builder, loc, left, frame.constant(window.tileColumns));
  }
  return window;
}

/// Where row `row` of the tile lies in the view; both i64.
Value Lowering::rowInView(const Window &window, Value row) {
  if (window.named) {
    Value at = bufferPointer(*window.named, frame.mul(row, window.named->elementBytes()));
    row = frame.widen(LLVM::LoadOp::create(builder, loc, builder.getI32Type(), at));
  }
  return frame.add(window.row, row);
}

/// Address of the first column of the window in row `row` (i64, of the view).
Value Lowering::rowPointer(const Window &window, Value row) {
  const KernelFrame::View &view = *window.view;
  Value offset;
  if (view.groupStride && frame.groupSize() != 1) {
    Value group = frame.constant(frame.groupSize());
    Value position = arith::DivUIOp::create(builder, loc, row, group);
    Value member = arith::RemUIOp::create(builder, loc, row, group);
    offset = frame.add(frame.mul(position, view.strides[0]), frame.mul(member, view.groupStride));
  } else {
    offset = frame.mul(row, view.strides[0]);
  }
  if (view.strides.size() == 2)
    offset = frame.add(offset, frame.mul(window.column, view.strides[1]));
  return frame.pointerAt(view.pointer, frame.mul(offset, bytesInMemory(view.element)));
}

Value &Lowering::fillRow(tile::LoadOp load) {
  const void *value = nullptr;
  if (Value fill = load.getFill()) {
    auto constant = fill.getDefiningOp<arith::ConstantOp>();
    value = constant ? constant.getValue().getAsOpaquePointer() : fill.getAsOpaquePointer();
  }
  auto type = cast<RankedTensorType>(load.getResult().getType());
  return fillRows[{value, type.getElementType().getAsOpaquePointer(), type.getDimSize(1)}];
}

LogicalResult Lowering::makeFillRows() {
  WalkResult walked = kernel.walk([&](tile::LoadOp load) -> WalkResult {
    Value &row = fillRow(load);
    if (row)
      return WalkResult::advance();
    auto type = cast<RankedTensorType>(load.getResult().getType());
    Value value = zero(type.getElementType());
    if (Value fill = load.getFill()) {
      if (auto constant = fill.getDefiningOp<arith::ConstantOp>())
        value = arith::ConstantOp::create(builder, loc, constant.getValue());
      else if (isa<BlockArgument>(fill) && fill.getParentBlock() == &kernel.front())
        value = frame.scalar(fill);
      else
        return load.emitOpError("fill must be a constant or an argument of the kernel");
    }
    Buffer buffer;
    buffer.element = typeInMemory(type.getElementType());
    buffer.lanes = buffer.stride = llvm::alignTo(type.getDimSize(1), 64);
    buffer.offset = scratch.allocate(buffer.bytes(), 0, ScratchAllocator::forever);
    fillBuffer(buffer, value);
    row = bufferPointer(buffer, frame.constant(0));
    return WalkResult::advance();
  });
  return failure(walked.wasInterrupted());
}

bool ringc::cpu::movesWithLoop(tile::LoadOp load, size_t axis) {
  if (axis >= load.getOffsets().size())
    return false;
  auto argument = dyn_cast<BlockArgument>(load.getOffsets()[axis]);
  return argument && isa<scf::ForOp>(argument.getOwner()->getParentOp());
}

/// Asks for a row of a window, or what lies so many columns behind it: rows lie too far apart for
/// the processor to see what comes. Behind the view it asks in vain.
void Lowering::prefetchRow(const Window &window, Value row, int64_t columnsOn) {
  int64_t bytes = bytesInMemory(window.view->element);
  prefetch(rowPointer(window, row), columnsOn * bytes, window.tileColumns * bytes);
}

void Lowering::prefetch(Value pointer, int64_t first, int64_t bytes) {
  constexpr int64_t lineBytes = 64;
  constexpr int read = 0, secondLevel = 2, data = 1;
  for (int64_t at = 0; at < bytes; at += lineBytes)
    LLVM::Prefetch::create(builder, loc, frame.pointerAt(pointer, frame.constant(first + at)), read,
                           secondLevel, data);
}

/// `whole` where all columns of the window are inside the view, else `partial`.
void Lowering::ifWhole(const Window &window, llvm::function_ref<void()> whole,
                       llvm::function_ref<void()> partial) {
  if (!window.columnsInside)
    return whole();
  Value all = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, window.columnsInside,
                                    frame.constant(window.tileColumns));
  if (window.firstColumn)
    all = arith::AndIOp::create(builder, loc, all,
                                arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq,
                                                      window.firstColumn, frame.constant(0)));
  auto branch = scf::IfOp::create(builder, loc, all, /*withElse=*/true);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(branch.thenBlock());
  whole();
  builder.setInsertionPointToStart(branch.elseBlock());
  partial();
}

/// Asks for a row of each of the next round's windows.
void Lowering::prefetchNext(Value row) {
  for (const Window &window : nextWindows)
    prefetchRow(window, frame.add(window.row, frame.add(row, frame.constant(window.tileRows))));
}

/// Asks at a block's start for the windows that it adds to at its end.
void Lowering::prefetchSums(Block &block) {
  for (auto store : block.getOps<tile::StoreOp>()) {
    auto type = cast<RankedTensorType>(store.getTile().getType());
    bool known = llvm::all_of(store.getOffsets(),
                              [&](Value offset) { return scalars.lookup(offset) != nullptr; });
    if (!store.getAdd() || !known || store.getRows() || !frame.knows(store.getView()) ||
        type.getDimSize(1) == 1)
      continue;
    Window window = windowOf(store.getView().getType(), store.getView(), store.getOffsets(),
                             Value(), type, /*phase=*/0);
    loop(frame.constant(0), frame.constant(window.tileRows), 1, {}, [&](Value row, ValueRange) {
      prefetchRow(window, frame.add(window.row, row));
      return SmallVector<Value>();
    });
  }
}

Lowering::WindowRows Lowering::rowsOf(tile::LoadOp load, int phase) {
  WindowRows rows;
  rows.window = windowOf(load.getView().getType(), load.getView(), load.getOffsets(),
                         load.getRows(), load.getResult().getType(), phase);
  rows.fill = fillRow(load);
  if (load.getWhere())
    rows.where = *findBuffer(throughTransposes(load.getWhere()).first);
  return rows;
}

Value Lowering::rowOrFill(const WindowRows &rows, Value row, Value r) {
  // Unsigned: what lies before the view is far behind it.
  Value inside =
      arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, row, rows.window.rows);
  if (rows.where) {
    Value kept =
        LLVM::LoadOp::create(builder, loc, builder.getI8Type(), bufferPointer(*rows.where, r));
    inside = arith::AndIOp::create(builder, loc, inside, convert(kept, builder.getI1Type()));
  }
  return arith::SelectOp::create(builder, loc, inside, rowPointer(rows.window, row), rows.fill);
}

void Lowering::emitLoad(tile::LoadOp load, const Buffer &to, int phase) {
  WindowRows rows = rowsOf(load, phase);
  const Window &window = rows.window;
  Value fill = rows.fill;
  Type element = typeInMemory(window.view->element);
  int64_t width = target.lanes(), bytes = bytesInMemory(window.view->element);
  if ((to.format.lane == 0 || window.tileColumns == 1) && to.stride != to.lanes)
    fillBuffer(to, zero(to.element));
  if (to.hasZeroRows())
    fillBuffer(to, zero(to.element));

  // So many lines at once wait for each other: a nest with much to compute asks for them better.
  bool byRows = movesWithLoop(load, 0);
  bool byColumns = !byRows && window.tileColumns > 1 && movesWithLoop(load, 1);
  bool asksWhileCopying = byRows && window.tileRows != rowsOfAskingNest;
  if (byRows && !asksWhileCopying)
    nextWindows.push_back(window);

  // The row of the view, or the row of fill values where it is outside or left out.
  auto sourceRow = [&](Value r) -> Value {
    Value row = rowInView(window, r);
    if (asksWhileCopying)
      prefetchRow(window, frame.add(row, frame.constant(window.tileRows)));
    if (byColumns)
      prefetchRow(window, row, window.tileColumns);
    return rowOrFill(rows, row, r);
  };
  // Element (r, c) of the tile, c an i64 below the tile's columns.
  auto elementAt = [&](Value rowAddress, Value c) -> Value {
    Value address = frame.pointerAt(rowAddress, frame.mul(c, bytes));
    if (!window.columnsInside)
      return LLVM::LoadOp::create(builder, loc, element, address, static_cast<unsigned>(bytes));
    Value inside =
        arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::slt, c, window.columnsInside);
    if (window.firstColumn)
      inside = arith::AndIOp::create(
          builder, loc, inside,
          arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::sge, c, window.firstColumn));
    Value from = arith::SelectOp::create(builder, loc, inside, address, fill);
    return LLVM::LoadOp::create(builder, loc, element, from, static_cast<unsigned>(bytes));
  };
  auto stored = [&](Value value) {
    return to.element.isInteger(8) ? value : convert(value, to.element);
  };

  // Each row of the view becomes a column of the buffer.
  auto scatter = [&] {
    loop(frame.constant(0), frame.constant(window.tileRows), 1, {}, [&](Value r, ValueRange) {
      Value from = sourceRow(r);
      auto move = [&](Value c) {
        Value at = to.format.lane == 0 ? elementOffset(to, c, r) : elementOffset(to, r, c);
        LLVM::StoreOp::create(builder, loc, stored(elementAt(from, c)), bufferPointer(to, at));
      };
      if (window.tileColumns == 1)
        move(frame.constant(0));
      else
        loop(frame.constant(0), frame.constant(window.tileColumns), 1, {},
             [&](Value c, ValueRange) {
               move(c);
               return SmallVector<Value>();
             });
      return SmallVector<Value>();
    });
  };
  if (to.format.lane == 0 && movesPairs(window, to))
    return ifWhole(window, [&] { emitPairwiseTransposedLoad(window, to, sourceRow); }, scatter);
  if (to.format.lane == 0 && movesSquares(window, to))
    return ifWhole(window, [&] { emitTransposedLoad(window, to, sourceRow); }, scatter);
  if (to.format.lane == 0 || window.tileColumns == 1)
    return scatter();

  // Whole vectors along the row, then halves down to single elements; the buffer's padding is
  // zeroed in passing.
  auto copyVectors = [&](auto &&move) {
    int64_t whole = window.tileColumns / width * width;
    if (whole > 16 * width) {
      loop(frame.constant(0), frame.constant(whole), width, {}, [&](Value c, ValueRange) {
        move(c, width);
        return SmallVector<Value>();
      });
    } else {
      for (int64_t c = 0; c < whole; c += width)
        move(frame.constant(c), width);
    }
    for (int64_t c = whole, count = width / 2; c < window.tileColumns; count /= 2)
      if (c + count <= window.tileColumns) {
        move(frame.constant(c), count);
        c += count;
      }
  };
  auto vectorAt = [&](Value rowAddress, Value c, int64_t count) {
    return stored(
        loadVector(frame.pointerAt(rowAddress, frame.mul(c, bytes)), element, count, bytes));
  };
  auto emitRows = [&](bool partial) {
    int64_t rowsAtOnce = to.format.paired ? 2 : 1;
    loop(frame.constant(0), frame.constant(window.tileRows), rowsAtOnce, {},
         [&](Value r, ValueRange) {
           Value from = sourceRow(r);
           Value next;
           if (to.format.paired)
             next = window.tileRows == 1 ? fill : sourceRow(frame.add(r, frame.constant(1)));
           if (next && next != fill && window.tileRows % 2) // no row of the tile
             next = arith::SelectOp::create(
                 builder, loc,
                 arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, r,
                                       frame.constant(window.tileRows - 1)),
                 fill, next);
           Value base = elementOffset(to, r, frame.constant(0));
           if (partial) {
             loop(frame.constant(0), frame.constant(window.tileColumns), 1, {},
                  [&](Value c, ValueRange) {
                    LLVM::StoreOp::create(builder, loc, stored(elementAt(from, c)),
                                          bufferPointer(to, elementOffset(to, r, c)));
                    if (next)
                      LLVM::StoreOp::create(
                          builder, loc, stored(elementAt(next, c)),
                          bufferPointer(to, elementOffset(to, frame.add(r, frame.constant(1)), c)));
                    return SmallVector<Value>();
                  });
             return SmallVector<Value>();
           }
           copyVectors([&](Value c, int64_t count) {
             Value vector = vectorAt(from, c, count);
             if (next)
               vector =
                   vector::InterleaveOp::create(builder, loc, vector, vectorAt(next, c, count));
             storeVector(
                 vector,
                 bufferPointer(to, frame.add(base, frame.mul(c, to.elementBytes() * rowsAtOnce))),
                 to.elementBytes());
           });
           return SmallVector<Value>();
         });
  };
  if (to.stride != to.lanes)
    fillBuffer(to, zero(to.element));
  ifWhole(window, [&] { emitRows(false); }, [&] { emitRows(true); });
}

void Lowering::emitStore(tile::StoreOp store, const Buffer &given, int phase) {
  auto type = cast<RankedTensorType>(store.getTile().getType());
  Window window = windowOf(store.getView().getType(), store.getView(), store.getOffsets(),
                           store.getRows(), type, phase);
  Type element = typeInMemory(window.view->element);
  int64_t width = target.lanes(), bytes = bytesInMemory(window.view->element);
  Buffer source = given;
  if (given.format.lane == 0 && window.tileColumns > 1)
    source = rowMajor(given, window.tileRows, window.tileColumns, phase);
  Value left = arith::SubIOp::create(builder, loc, window.rows, window.row);
  Value rows = arith::MinSIOp::create(builder, loc, left, frame.constant(window.tileRows));
  // Of what several programs may add to at once each element is added to as a whole.
  bool atomic = store.getAdd() && storePlacesOf(store).sharedOtherwise;
  auto move = [&](Value rowAddress, Value r, Value c, int64_t count) {
    Value at = source.format.lane == 0 ? elementOffset(source, c, r) : elementOffset(source, r, c);
    Value from = bufferPointer(source, at), to = frame.pointerAt(rowAddress, frame.mul(c, bytes));
    unsigned alignment = static_cast<unsigned>(bytes);
    auto load = [&](Value pointer, Type as) -> Value {
      return count == 1
                 ? LLVM::LoadOp::create(builder, loc, as, pointer, as.getIntOrFloatBitWidth() / 8)
                       .getResult()
                 : loadVector(pointer, as, count, as.getIntOrFloatBitWidth() / 8);
    };
    Value value = load(from, source.element);
    if (!source.element.isInteger(8))
      value = convert(value, element);
    if (atomic) {
      LLVM::AtomicRMWOp::create(builder, loc, LLVM::AtomicBinOp::fadd, to, value,
                                LLVM::AtomicOrdering::monotonic);
      return;
    }
    if (store.getAdd())
      value = arith::AddFOp::create(builder, loc, load(to, element), value);
    LLVM::StoreOp::create(builder, loc, value, to, alignment);
  };
  auto storeRow = [&](Value row, Value r) {
    Value rowAddress = rowPointer(window, row);
    if (window.tileColumns == 1 && !window.columnsInside) {
      move(rowAddress, r, frame.constant(0), 1);
      return;
    }
    Value columns =
        window.columnsInside ? window.columnsInside : frame.constant(window.tileColumns);
    Value first = window.firstColumn ? window.firstColumn : frame.constant(0), done = first;
    if (source.format.lane == 1 && !atomic) {
      Value count = columns;
      if (window.firstColumn) {
        count = arith::SubIOp::create(builder, loc, columns, first);
        count = arith::MaxSIOp::create(builder, loc, count, frame.constant(0));
      }
      Value tail = arith::RemUIOp::create(builder, loc, count, frame.constant(width));
      done = frame.add(first, arith::SubIOp::create(builder, loc, count, tail));
      loop(first, done, width, {}, [&](Value c, ValueRange) {
        move(rowAddress, r, c, width);
        return SmallVector<Value>();
      });
    }
    loop(done, columns, 1, {}, [&](Value c, ValueRange) {
      move(rowAddress, r, c, 1);
      return SmallVector<Value>();
    });
  };
  if (!window.named) {
    Value firstRow = window.firstRow ? window.firstRow : frame.constant(0);
    loop(firstRow, rows, 1, {}, [&](Value r, ValueRange) {
      storeRow(frame.add(window.row, r), r);
      return SmallVector<Value>();
    });
    return;
  }
  loop(frame.constant(0), frame.constant(window.tileRows), 1, {}, [&](Value r, ValueRange) {
    Value row = rowInView(window, r);
    Value inside = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, row, window.rows);
    auto branch = scf::IfOp::create(builder, loc, inside, /*withElse=*/false);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(branch.thenBlock());
    storeRow(row, r);
    return SmallVector<Value>();
  });
}
