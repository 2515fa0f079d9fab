#include "compiler/passes/gpu/Lowering.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace ringc;
using namespace ringc::gpu;
using Kind = FragmentLayout::Kind;

/// i1 lies in memory as a byte.
static Type typeInMemory(Type element) {
  return element.isInteger(1) ? IntegerType::get(element.getContext(), 8) : element;
}
static int64_t bytesOf(Type element) { return typeInMemory(element).getIntOrFloatBitWidth() / 8; }

static bool isRead(tile::LoadOp load, bool byProducts) {
  SmallVector<Value> names{load.getResult()};
  bool found = false;
  for (size_t i = 0; i < names.size(); ++i)
    for (OpOperand &use : names[i].getUses()) {
      Operation *user = use.getOwner();
      if (isa<tile::TransposeOp>(user))
        names.push_back(user->getResult(0));
      else
        found |= (isa<tile::DotOp>(user) && use.getOperandNumber() < 2) == byProducts;
    }
  return found;
}

bool Lowering::goesToShared(tile::LoadOp load) const { return isRead(load, true); }
bool Lowering::goesToRegisters(tile::LoadOp load) const { return isRead(load, false); }

Value Lowering::allocateShared(int64_t bytes, int64_t &offset) {
  offset = sharedTop;
  sharedTop += static_cast<int64_t>(llvm::alignTo(static_cast<uint64_t>(bytes), 16));
  sharedHighWater = std::max(sharedHighWater, sharedTop);
  return i32(offset);
}

Value Lowering::sharedPointer(Value byteOffset) {
  return LLVM::GEPOp::create(builder, loc, sharedBase.getType(), builder.getI8Type(), sharedBase,
                             ValueRange{byteOffset});
}

void Lowering::barrier() {
  call("llvm.nvvm.barrier.cta.sync.aligned.all", {i32(0)});
  settled = true;
  unseen.clear();
}

/// Until all threads see the staged ones among `tiles`. Copies arrive in order, so all before them
/// are there too.
void Lowering::waitFor(ArrayRef<Value> tiles) {
  size_t there = 0;
  for (auto [at, staged] : llvm::enumerate(underWay))
    if (llvm::is_contained(tiles, staged))
      there = at + 1;
  if (there == 0)
    return;
  call("llvm.nvvm.cp.async.wait.group", {i32(static_cast<int64_t>(underWay.size() - there))});
  barrier();
  underWay.erase(underWay.begin(), underWay.begin() + static_cast<ptrdiff_t>(there));
}

Lowering::Window Lowering::windowOf(tile::ViewType type, Value view, ValueRange offsets,
                                    RankedTensorType tile) {
  Window window;
  window.view = &frame.view(view);
  window.tileRows = tile.getDimSize(0);
  window.tileColumns = tile.getDimSize(1);
  window.row = frame.widen(scalars.lookup(offsets[0]));
  auto extentOf = [&](int64_t axis) {
    int64_t number = type.getStaticExtent(axis);
    return number >= 0 ? frame.constant(number) : frame.extent(type.getExtentName(axis));
  };
  window.rows = extentOf(0);
  window.column = frame.constant(0);
  if (type.getRank() == 1)
    return window;
  window.column = frame.widen(scalars.lookup(offsets[1]));
  auto start = scalars.lookup(offsets[1]).getDefiningOp<arith::ConstantOp>();
  bool atZero = start && cast<IntegerAttr>(start.getValue()).getInt() == 0;
  if (!(atZero && type.getStaticExtent(1) >= window.tileColumns))
    window.columnsInside = arith::SubIOp::create(builder, loc, extentOf(1), window.column);
  return window;
}

Value Lowering::rowPointer(const Window &window, Value row) {
  const cpu::KernelFrame::View &view = *window.view;
  Value at = frame.add(window.row, row), offset;
  if (view.groupStride && frame.groupSize() != 1) {
    // Rows are below 2^31: a 32-bit division is enough, and much shorter.
    Value narrow = frame.narrow(at), group = i32(frame.groupSize());
    Value position = frame.widen(arith::DivUIOp::create(builder, loc, narrow, group));
    Value member = frame.widen(arith::RemUIOp::create(builder, loc, narrow, group));
    offset = frame.add(frame.mul(position, view.strides[0]), frame.mul(member, view.groupStride));
  } else {
    offset = frame.mul(at, view.strides[0]);
  }
  if (view.strides.size() == 2)
    offset = frame.add(offset, frame.mul(window.column, view.strides[1]));
  return frame.pointerAt(view.pointer, frame.mul(offset, bytesOf(view.element)));
}

/// Unsigned: what lies before the view is far behind it.
Value Lowering::inside(const Window &window, Value row, Value column) {
  auto below = [&](Value a, Value b) -> Value {
    return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, a, b);
  };
  auto both = [&](Value a, Value b) -> Value { return arith::AndIOp::create(builder, loc, a, b); };
  Value in = below(frame.add(window.row, row), window.rows);
  in = both(in, below(row, frame.constant(window.tileRows)));
  if (!column)
    return in;
  in = both(in, below(column, frame.constant(window.tileColumns)));
  if (!window.columnsInside)
    return in;
  Value before = arith::SubIOp::create(builder, loc, frame.constant(0), window.column);
  Value after =
      arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::slt, column, window.columnsInside);
  Value notBefore = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::sge, column, before);
  return both(in, both(after, notBefore));
}

/// How a window lies in shared memory: fragments read blocks of 16 a warp in one direction, of 16
/// in the other.
SharedTile Lowering::sharedTileOf(tile::LoadOp load) const {
  auto type = cast<RankedTensorType>(load.getResult().getType());
  auto padded = [](int64_t extent) {
    return static_cast<int64_t>(llvm::alignTo(static_cast<uint64_t>(extent), 16));
  };
  SharedTile tile;
  tile.rows = type.getDimSize(0);
  tile.columns = type.getDimSize(1);
  tile.elementBytes = bytesOf(load.getView().getType().getElementType());
  tile.paddedRows = padded(tile.rows);
  tile.paddedColumns = padded(tile.columns);
  SmallVector<Value> names{load.getResult()};
  for (size_t i = 0; i < names.size(); ++i)
    for (Operation *user : names[i].getUsers()) {
      if (isa<tile::TransposeOp>(user))
        names.push_back(user->getResult(0));
      auto dot = dyn_cast<tile::DotOp>(user);
      if (!dot)
        continue;
      FragmentLayout layout = layoutOf(dot.getResult());
      auto [behindA, swappedA] = throughTransposes(dot.getA());
      auto [behindB, swappedB] = throughTransposes(dot.getB());
      bool isLeft = layout.mAxis == 0 ? behindA == load.getResult() : behindB == load.getResult();
      if (!isLeft)
        continue;
      bool swapped = layout.mAxis == 0 ? swappedA : swappedB;
      int mAxis = (layout.mAxis == 0) != swapped ? 0 : 1;
      int64_t &extent = mAxis == 0 ? tile.paddedRows : tile.paddedColumns;
      extent = std::max(extent, layout.mBlocks * 16 * warps);
    }
  return tile;
}

LogicalResult Lowering::stage(tile::LoadOp load) {
  SharedTile tile = sharedTileOf(load);
  allocateShared(tile.bytes(), tile.offset);
  std::optional<int64_t> flags;
  if (load.getWhere() && !fromPositionsAlone(load.getWhere())) {
    FailureOr<int64_t> written = shareFlags(load, tile.paddedRows);
    if (failed(written))
      return failure();
    flags = *written;
  }
  if (failed(copyIn(load, tile, flags)))
    return failure();
  call("llvm.nvvm.cp.async.commit.group", {});
  shared[load.getResult()] = tile;
  underWay.push_back(load.getResult());
  return success();
}

/// The rows that `where` keeps, computed by the block, for the threads that copy them: an i32 each.
FailureOr<int64_t> Lowering::shareFlags(tile::LoadOp load, int64_t rows) {
  loc = load.getLoc();
  FailureOr<Fragment> given = whole(load.getWhere(), load);
  if (failed(given))
    return failure();
  FragmentLayout layout = layoutOf(load.getWhere());
  Fragment flags = expanded(*given, layout);
  bool alongM = layout.kind == Kind::AlongM;
  int64_t extent = alongM ? layout.mExtent : layout.nExtent, offset = 0;
  allocateShared(rows * 4, offset);
  Value writes =
      alongM ? arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, nBase, i32(0))
             : arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, thread, i32(4));
  for (int64_t e = 0; e < layout.count(); ++e) {
    Value at = alongM ? mAt(layout.mOf(e)) : nAt(layout.nOf(e));
    Value in = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, at, i32(extent));
    in = arith::AndIOp::create(builder, loc, in, writes);
    auto branch = scf::IfOp::create(builder, loc, in, /*withElseRegion=*/false);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(branch.thenBlock());
    Value flag = arith::ExtUIOp::create(builder, loc, builder.getI32Type(),
                                        flags.elements[static_cast<size_t>(e)]);
    store(flag, sharedPointer(add(mul(at, 4), i32(offset))));
  }
  barrier();
  return offset;
}

/// Starts copying a window to shared memory: 16 bytes at a time by cp.async where the view is
/// aligned for it, element by element where it is not. Zeros (or `fill`) outside.
LogicalResult Lowering::copyIn(tile::LoadOp load, const SharedTile &tile,
                               std::optional<int64_t> flags) {
  loc = load.getLoc();
  auto type = cast<RankedTensorType>(load.getResult().getType());
  Window window = windowOf(load.getView().getType(), load.getView(), load.getOffsets(), type);
  Value start = i32(tile.offset);
  if (tile.stage)
    start = add(start, tile.stage);
  Type element = window.view->element;
  if (load.getFill() && !isa<arith::ConstantOp>(load.getFill().getDefiningOp()))
    return load.emitOpError("fills a product's operand with a number that is not constant");
  auto kept = [&](Value row, Value in) -> Value {
    if (!load.getWhere())
      return in;
    Value where;
    if (flags) {
      Value flag = this->load(builder.getI32Type(),
                              sharedPointer(add(mul(frame.narrow(row), 4), i32(*flags))));
      where = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ne, flag, i32(0));
    } else {
      where = elementAt(load.getWhere(), frame.narrow(row), i32(0));
    }
    return arith::AndIOp::create(builder, loc, in, where).getResult();
  };
  Type f = typeInMemory(element);
  Value fill = zeroOf(f);
  if (load.getFill())
    fill = arith::ConstantOp::create(
        builder, loc, cast<arith::ConstantOp>(load.getFill().getDefiningOp()).getValue());
  auto number = dyn_cast_or_null<arith::ConstantOp>(load.getFill() ? load.getFill().getDefiningOp()
                                                                   : nullptr);
  auto filled = number ? dyn_cast<FloatAttr>(number.getValue()) : FloatAttr();
  bool zeros = !number || (filled && filled.getValue().isPosZero());

  // Addresses: every thread takes each threads()-th chunk.
  auto byElements = [&]() -> LogicalResult {
    int64_t total = tile.paddedRows * tile.paddedColumns;
    auto loop = scf::ForOp::create(builder, loc, thread, i32(total), i32(threads()));
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPoint(loop.getBody()->getTerminator());
    Value at = loop.getInductionVar(), columns = i32(tile.paddedColumns);
    Value row = arith::DivUIOp::create(builder, loc, at, columns);
    Value column = arith::RemUIOp::create(builder, loc, at, columns);
    Value wideRow = frame.widen(row), wideColumn = frame.widen(column);
    Value in = kept(wideRow, inside(window, wideRow, wideColumn));
    auto read = scf::IfOp::create(builder, loc, TypeRange{f}, in, /*withElseRegion=*/true);
    {
      OpBuilder::InsertionGuard inner(builder);
      builder.setInsertionPointToStart(read.thenBlock());
      Value from =
          frame.pointerAt(rowPointer(window, wideRow), frame.mul(wideColumn, tile.elementBytes));
      scf::YieldOp::create(builder, loc, this->load(f, global(from)));
      builder.setInsertionPointToStart(read.elseBlock());
      scf::YieldOp::create(builder, loc, fill);
    }
    Value to = add(add(mul(row, tile.rowBytes()), mul(column, tile.elementBytes)), start);
    store(read.getResult(0), sharedPointer(to));
    return success();
  };
  auto byChunks = [&]() -> LogicalResult {
    int64_t chunks = tile.chunks(), total = tile.paddedRows * chunks;
    int64_t perChunk = 16 / tile.elementBytes;
    bool columnStays = threads() % chunks == 0;
    Value firstRow = arith::DivUIOp::create(builder, loc, thread, i32(chunks));
    Value firstChunk = arith::RemUIOp::create(builder, loc, thread, i32(chunks));
    for (int64_t first = 0; first < total; first += threads()) {
      Value row = firstRow, chunk = firstChunk, id = thread;
      if (first && columnStays) {
        row = add(firstRow, i32(first / chunks));
      } else if (first) {
        id = add(thread, i32(first));
        row = arith::DivUIOp::create(builder, loc, id, i32(chunks));
        chunk = arith::RemUIOp::create(builder, loc, id, i32(chunks));
      }
      OpBuilder::InsertionGuard guard(builder);
      if (first + threads() > total) { // the last turn is not for all threads
        Value mine = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, id, i32(total));
        if (!first || columnStays)
          mine = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, row,
                                       i32(tile.paddedRows));
        auto branch = scf::IfOp::create(builder, loc, mine, /*withElseRegion=*/false);
        builder.setInsertionPointToStart(branch.thenBlock());
      }
      Value wideRow = frame.widen(row), column = frame.widen(mul(chunk, perChunk));
      Value in = kept(wideRow, inside(window, wideRow, column));
      Value from =
          frame.pointerAt(rowPointer(window, wideRow), frame.mul(column, tile.elementBytes));
      from = arith::SelectOp::create(builder, loc, in, from, window.view->pointer);
      Value size = arith::SelectOp::create(builder, loc, in, i32(16), i32(0));
      Value to = add(add(mul(row, tile.rowBytes()), mul(chunk, 16)), start);
      call("llvm.nvvm.cp.async.cg.shared.global.16.s", {sharedPointer(to), global(from), size});
    }
    return success();
  };

  // Whole chunks lie inside or outside where rows are whole chunks and windows start at one.
  int64_t perChunk = 16 / tile.elementBytes;
  bool chunked = zeros && !window.columnsInside && tile.columns % perChunk == 0;
  if (!chunked) {
    if (failed(byElements()))
      return failure();
  } else {
    auto bits = [&](Value value) -> Value {
      return LLVM::PtrToIntOp::create(builder, loc, builder.getI64Type(), value);
    };
    auto either = [&](Value a, Value b) -> Value {
      return arith::OrIOp::create(builder, loc, a, b);
    };
    Value all =
        either(bits(window.view->pointer), frame.mul(window.view->strides[0], tile.elementBytes));
    if (window.view->groupStride)
      all = either(all, frame.mul(window.view->groupStride, tile.elementBytes));
    Value odd = arith::AndIOp::create(builder, loc, all, frame.constant(15));
    Value aligned =
        arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, odd, frame.constant(0));
    auto branch = scf::IfOp::create(builder, loc, aligned, /*withElseRegion=*/true);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(branch.thenBlock());
    if (failed(byChunks()))
      return failure();
    builder.setInsertionPointToStart(branch.elseBlock());
    if (failed(byElements()))
      return failure();
  }
  return success();
}

LogicalResult Lowering::loadRegisters(tile::LoadOp load) {
  if (isStreamedColumn(load) && shared.count(load.getResult())) {
    readColumn(load, shared.lookup(load.getResult()));
    return success();
  }
  auto type = cast<RankedTensorType>(load.getResult().getType());
  Window window = windowOf(load.getView().getType(), load.getView(), load.getOffsets(), type);
  Type element = window.view->element, inMemory = typeInMemory(element);
  FragmentLayout layout = layoutOf(load.getResult());
  Value fill = zeroOf(type.getElementType());
  if (load.getFill()) {
    auto constant = load.getFill().getDefiningOp<arith::ConstantOp>();
    fill = constant ? arith::ConstantOp::create(builder, loc, constant.getValue()).getResult()
                    : scalars.lookup(load.getFill());
  }
  std::optional<Fragment> where;
  if (load.getWhere())
    where = fragmentOf(load.getWhere());
  Fragment made{layout, {}};
  for (int64_t e = 0; e < layout.count(); ++e) {
    int64_t m = layout.mOf(e), n = layout.nOf(e);
    auto coordinate = [&](int axis) -> Value {
      if (type.getDimSize(axis) == 1)
        return frame.constant(0);
      bool alongM =
          layout.kind == Kind::Matrix ? layout.mAxis == axis : layout.kind == Kind::AlongM;
      return frame.widen(alongM ? mAt(m) : nAt(n));
    };
    Value row = coordinate(0), column = coordinate(1);
    Value in = inside(window, row, column);
    if (where)
      in = arith::AndIOp::create(builder, loc, in,
                                 where->elements[static_cast<size_t>(where->layout.at(m, n))]);
    Value from = frame.pointerAt(rowPointer(window, row), frame.mul(column, bytesOf(element)));
    from = arith::SelectOp::create(builder, loc, in, from, window.view->pointer);
    Value value = this->load(inMemory, global(from));
    if (element.isInteger(1))
      value =
          arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ne, value, zeroOf(inMemory));
    made.elements.push_back(arith::SelectOp::create(builder, loc, in, value, fill));
  }
  fragments[load.getResult()] = made;
  return success();
}

LogicalResult Lowering::lowerStore(tile::StoreOp store) {
  auto type = cast<RankedTensorType>(store.getTile().getType());
  Window window = windowOf(store.getView().getType(), store.getView(), store.getOffsets(), type);
  Type element = window.view->element, inMemory = typeInMemory(element);
  FailureOr<Fragment> given = whole(store.getTile(), store);
  if (failed(given))
    return failure();
  FragmentLayout layout = layoutOf(store.getTile());
  Fragment tile = expanded(*given, layout);
  auto equals = [&](Value a, int64_t b) -> Value {
    return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, a, i32(b));
  };
  // Of the threads that hold the same number one writes it.
  Value writes = arith::ConstantIntOp::create(builder, loc, 1, 1);
  if (layout.kind == Kind::AlongM)
    writes = equals(nBase, 0);
  else if (layout.kind == Kind::AlongN)
    writes = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, thread, i32(4));
  else if (layout.kind == Kind::Single)
    writes = equals(thread, 0);
  bool own = false; // a window that moves with the program belongs to it alone
  if (auto product = store.getOffsets().front().getDefiningOp<arith::MulIOp>())
    own = llvm::any_of(product->getOperands(), [](Value factor) {
      return factor.getDefiningOp<tile::ProgramIdOp>() != nullptr;
    });
  OpBuilder::InsertionGuard outside(builder);
  if (store.getAdd() && !own && layout.kind == Kind::Matrix && coversExactly(layout) &&
      !window.columnsInside) {
    auto whole = scf::IfOp::create(builder, loc, holdsAllRows(window), /*withElseRegion=*/true);
    builder.setInsertionPointToStart(whole.thenBlock());
    addWholeMatrix(window, tile);
    builder.setInsertionPointToStart(whole.elseBlock());
  }
  for (int64_t e = 0; e < layout.count(); ++e) {
    auto coordinate = [&](int axis) -> Value {
      if (type.getDimSize(axis) == 1)
        return frame.constant(0);
      bool alongM =
          layout.kind == Kind::Matrix ? layout.mAxis == axis : layout.kind == Kind::AlongM;
      return frame.widen(alongM ? mAt(layout.mOf(e)) : nAt(layout.nOf(e)));
    };
    Value row = coordinate(0), column = coordinate(1);
    Value in = arith::AndIOp::create(builder, loc, writes, inside(window, row, column));
    auto branch = scf::IfOp::create(builder, loc, in, /*withElseRegion=*/false);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(branch.thenBlock());
    Value to =
        global(frame.pointerAt(rowPointer(window, row), frame.mul(column, bytesOf(element))));
    Value value = tile.elements[static_cast<size_t>(e)];
    if (element.isInteger(1))
      value = arith::ExtUIOp::create(builder, loc, inMemory, value);
    if (store.getAdd() && !own) {
      addAtomically(value, to);
      continue;
    }
    if (store.getAdd())
      value = arith::AddFOp::create(builder, loc, load(inMemory, to), value);
    this->store(value, to);
  }
  return success();
}
