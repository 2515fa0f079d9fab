// Windows of views on their way to shared memory, where products read them.

#include "ringc/compiler/passes/gpu/Applied.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace ringc;
using namespace ringc::gpu;
using Kind = FragmentLayout::Kind;

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

/// How many rows and columns of a tile products read: along m and n of their results what the warps
/// have in turns, blocks of 16 of what they sum over.
std::array<int64_t, 2> Lowering::extentsRead(Value tile) const {
  auto type = cast<RankedTensorType>(tile.getType());
  std::array<int64_t, 2> extents;
  for (unsigned axis : {0, 1})
    extents[axis] = llvm::divideCeil(type.getDimSize(axis), 16) * 16;
  SmallVector<Value> names{tile};
  for (size_t i = 0; i < names.size(); ++i)
    for (OpOperand &use : names[i].getUses()) {
      if (isa<tile::TransposeOp>(use.getOwner()))
        names.push_back(use.getOwner()->getResult(0));
      auto dot = dyn_cast<tile::DotOp>(use.getOwner());
      unsigned operand = use.getOperandNumber();
      if (!dot || operand > 1)
        continue;
      FragmentLayout layout = layoutOf(dot.getResult());
      bool isLeft = (operand == 0) == (layout.mAxis == 0);
      unsigned axis = throughTransposes(use.get()).second ? 1 - operand : operand;
      extents[axis] = std::max(extents[axis], isLeft ? reachM(layout) : reachN(layout));
    }
  return extents;
}

SharedTile Lowering::sharedTileOf(tile::LoadOp load) const {
  auto type = cast<RankedTensorType>(load.getResult().getType());
  SharedTile tile;
  tile.rows = type.getDimSize(0);
  tile.columns = type.getDimSize(1);
  tile.elementBytes = bytesInMemory(load.getView().getType().getElementType());
  tile.inRounds = load->getParentOfType<scf::ForOp>() != nullptr;
  auto [paddedRows, paddedColumns] = extentsRead(load.getResult());
  tile.paddedRows = paddedRows;
  tile.paddedColumns = paddedColumns;
  return tile;
}

LogicalResult Lowering::stage(tile::LoadOp load) {
  SharedTile tile = sharedTileOf(load);
  allocateShared(tile.bytes(), tile.offset);
  std::optional<RowsKept> kept;
  if (Value where = load.getWhere()) {
    int64_t offset = 0;
    allocateShared(tile.paddedRows * 4, offset);
    FailureOr<RowsKept> written = shareRowsKept(where, offset);
    if (failed(written))
      return failure();
    kept = *written;
  }
  if (failed(copyIn(load, tile, kept)))
    return failure();
  call("llvm.nvvm.cp.async.commit.group", {});
  shared[load.getResult()] = tile;
  underWay.push_back(load.getResult());
  return success();
}

scf::IfOp Lowering::rowsKeptBranch(Value where) {
  auto branch = where ? where.getDefiningOp<scf::IfOp>() : scf::IfOp();
  bool alone = branch && llvm::all_of(branch.getResult(0).getUses(), [](OpOperand &use) {
                 auto load = dyn_cast<tile::LoadOp>(use.getOwner());
                 return load && load.getWhere() == use.get();
               });
  return alone && matchPattern(branch.elseYield().getOperand(0), m_One()) ? branch : scf::IfOp();
}

/// The rows that `where` keeps, computed by the block, for the threads that copy them: an i32 each,
/// at `offset` of shared memory. Where `where` is a branch that otherwise keeps all, so is this.
FailureOr<Lowering::RowsKept> Lowering::shareRowsKept(Value where, int64_t offset) {
  RowsKept kept{offset, {}, false};
  scf::IfOp branch = rowsKeptBranch(where);
  if (!branch)
    return failed(writeColumn(where, offset)) ? FailureOr<RowsKept>(failure()) : kept;
  kept.condition = scalars.lookup(branch.getCondition());
  auto made = scf::IfOp::create(builder, loc, kept.condition, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(made.thenBlock());
  bool settledBefore = settled; // a barrier in one way of a branch says nothing of the other
  SmallVector<Value> unseenBefore = unseen;
  Value inBranch = branch.thenYield().getOperand(0);
  if (!writeRowsSeen(inBranch, offset) &&
      (failed(lowerBlock(*branch.thenBlock())) || failed(writeColumn(inBranch, offset))))
    return failure();
  settled = settledBefore;
  unseen = unseenBefore;
  return kept;
}

/// The mask of a tile, where `rows` are those of its columns that any of its rows sees.
static tile::ApplyOp maskBehind(Value rows) {
  auto positive = throughTransposes(rows).first.getDefiningOp<arith::CmpFOp>();
  auto most = positive ? positive.getLhs().getDefiningOp<tile::ReduceOp>() : tile::ReduceOp();
  if (!most || most.getKind() != tile::ReduceKind::Max || most.getAxis() != 0 ||
      positive.getPredicate() != arith::CmpFPredicate::OGT ||
      !matchPattern(positive.getRhs(), m_AnyZeroFloat()))
    return {};
  auto ones = most.getOperand().getDefiningOp<arith::SelectOp>();
  if (!ones || !matchPattern(ones.getTrueValue(), m_OneFloat()) ||
      !matchPattern(ones.getFalseValue(), m_AnyZeroFloat()))
    return {};
  return ones.getCondition().getDefiningOp<tile::ApplyOp>();
}

/// Each thread one key: it is seen where the run of queries that see it meets the tile's. False,
/// and nothing written, for masks that are not such a run.
bool Lowering::writeRowsSeen(Value rows, int64_t offset) {
  tile::ApplyOp mask = maskBehind(rows);
  if (!mask || mask.getOperand())
    return false;
  Applied applied(*this, mask);
  VisibleRows queries(applied, /*alongKeys=*/false);
  if (!queries.areRuns())
    return false;
  auto type = cast<RankedTensorType>(mask.getResult().getType());
  int64_t keys = type.getDimSize(1);
  Value own = threadAgain();
  for (int64_t first = 0; first < keys; first += threads()) {
    Value key = first ? add(own, i32(first)) : own;
    OpBuilder::InsertionGuard guard(builder);
    if (first + threads() > keys) {
      Value mine = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, key, i32(keys));
      auto branch = scf::IfOp::create(builder, loc, mine, /*withElseRegion=*/false);
      builder.setInsertionPointToStart(branch.thenBlock());
    }
    Value seen = queries.meets(first, key, type.getDimSize(0));
    Value flag = arith::ExtUIOp::create(builder, loc, builder.getI32Type(), seen);
    store(flag, sharedPointer(mul(key, 4), offset));
  }
  barrier();
  return true;
}

/// A column of i1 or i32 as i32 in shared memory.
LogicalResult Lowering::writeColumn(Value column, int64_t offset) {
  FailureOr<Fragment> given = whole(column, column.getDefiningOp());
  if (failed(given))
    return failure();
  FragmentLayout layout = layoutOf(column);
  Fragment flags = expanded(*given, layout);
  bool alongM = layout.kind == Kind::AlongM;
  int64_t extent = alongM ? layout.mExtent : layout.nExtent;
  Value writes = alongM
                     ? arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, nBase, i32(0))
                     : arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, mBase, i32(0));
  for (int64_t e = 0; e < layout.count(); ++e) {
    Value at = alongM ? mAt(layout.mOf(e)) : nAt(layout.nOf(e));
    Value in = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, at, i32(extent));
    in = arith::AndIOp::create(builder, loc, in, writes);
    auto branch = scf::IfOp::create(builder, loc, in, /*withElseRegion=*/false);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(branch.thenBlock());
    Value flag = flags.elements[static_cast<size_t>(e)];
    if (flag.getType().isInteger(1))
      flag = arith::ExtUIOp::create(builder, loc, builder.getI32Type(), flag);
    store(flag, sharedPointer(mul(at, 4), offset));
  }
  barrier();
  return success();
}

/// Starts copying a window to shared memory, zeros (or `fill`) outside: 16 bytes at a time by
/// cp.async where rows are whole chunks, windows start at one and the view is aligned for it,
/// element by element where it is not.
LogicalResult Lowering::copyIn(tile::LoadOp load, const SharedTile &tile,
                               std::optional<RowsKept> kept) {
  loc = load.getLoc();
  TypedAttr fill;
  if (Value given = load.getFill()) {
    auto constant = given.getDefiningOp<arith::ConstantOp>();
    if (!constant)
      return load.emitOpError("fills a product's operand with a number that is not constant");
    fill = constant.getValue();
  }
  FailureOr<Window> found = windowOf(load);
  if (failed(found))
    return failure();
  Window window = *found;
  auto number = dyn_cast_or_null<FloatAttr>(fill);
  bool zeros = !fill || (number && number.getValue().isPosZero());
  bool chunked = zeros && !window.columnsInside && tile.columns * tile.elementBytes % 16 == 0;
  bool areInside = kept && kept->areInside && tile.paddedRows <= window.tileRows;
  auto copy = [&](std::optional<int64_t> flags) {
    if (!chunked)
      return copyElements(window, tile, fill, flags);
    auto branch = scf::IfOp::create(builder, loc, isAligned(window, 16), /*withElseRegion=*/true);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(branch.thenBlock());
    copyChunks(window, tile, flags, areInside);
    builder.setInsertionPointToStart(branch.elseBlock());
    copyElements(window, tile, fill, flags);
  };
  if (!kept || !kept->condition) {
    copy(kept ? std::optional(kept->offset) : std::nullopt);
    return success();
  }
  auto branch = scf::IfOp::create(builder, loc, kept->condition, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(branch.thenBlock());
  copy(kept->offset);
  builder.setInsertionPointToStart(branch.elseBlock());
  copy(std::nullopt);
  return success();
}

/// Whether `row` of the tile is one that the flags keep, i1.
Value Lowering::isKept(Value row, int64_t flags) {
  Value flag = load(builder.getI32Type(), sharedPointer(mul(row, 4), flags));
  return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ne, flag, i32(0));
}

/// Every thread takes each threads()-th chunk. Where a turn of all threads is a number of rows, a
/// thread stays in its column, and its rows are one step after another. `areInside`: the view has
/// all rows that the flags keep, or, without flags, all rows of the tile.
void Lowering::copyChunks(const Window &window, const SharedTile &tile,
                          std::optional<int64_t> flags, bool areInside) {
  int64_t chunks = tile.chunks(), total = tile.paddedRows * chunks;
  bool columnStays = threads() % chunks == 0;
  int64_t rowsOfTurn = threads() / chunks;
  Value firstRow = arith::DivUIOp::create(builder, loc, thread, i32(chunks));
  Value firstChunk = arith::RemUIOp::create(builder, loc, thread, i32(chunks));
  auto columnOf = [&](Value chunk) { return frame.widen(mul(chunk, 16)); };
  auto placeOf = [&](Value row, int64_t rowFurther, Value chunk) {
    return placeIn(tile, {row, rowFurther}, {mul(chunk, 16 / tile.elementBytes), 0});
  };
  // With a size of 0 zeros are written and nothing is read.
  auto sizeOf = [&](Value row, Value chunk) {
    Value size = i32(16);
    auto onlyWhere = [&](Value in) {
      size = arith::SelectOp::create(builder, loc, in, size, i32(0));
    };
    if (!areInside)
      onlyWhere(rowInside(window, row));
    if (flags)
      onlyWhere(isKept(row, *flags));
    if (tile.columns != tile.paddedColumns)
      onlyWhere(arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, chunk,
                                      i32(tile.columns * tile.elementBytes / 16)));
    return size;
  };
  int64_t group = rowsAreEquallySpaced(window) ? 1 : frame.groupSize();
  bool inSteps = columnStays && !window.named && rowsOfTurn % group == 0;
  Value from, step;
  if (inSteps) {
    from = frame.pointerAt(rowPointer(window, firstRow), columnOf(firstChunk));
    step = frame.mul(window.view->strides[0], tile.elementBytes * (rowsOfTurn / group));
  }
  for (int64_t first = 0; first < total; first += threads()) {
    Value row = firstRow, chunk = firstChunk, id = thread;
    if (first && columnStays) {
      row = add(firstRow, i32(first / chunks));
    } else if (first) {
      id = add(thread, i32(first));
      row = arith::DivUIOp::create(builder, loc, id, i32(chunks));
      chunk = arith::RemUIOp::create(builder, loc, id, i32(chunks));
    }
    if (first && inSteps)
      from = frame.pointerAt(from, step);
    OpBuilder::InsertionGuard guard(builder);
    if (first + threads() > total) { // the last turn is not for all threads
      Value mine = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, id, i32(total));
      if (!first || columnStays)
        mine = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, row,
                                     i32(tile.paddedRows));
      auto branch = scf::IfOp::create(builder, loc, mine, /*withElseRegion=*/false);
      builder.setInsertionPointToStart(branch.thenBlock());
    }
    Value size = sizeOf(row, chunk);
    Value to = columnStays ? placeOf(firstRow, first / chunks, firstChunk) : placeOf(row, 0, chunk);
    Value source = inSteps ? from : frame.pointerAt(rowPointer(window, row), columnOf(chunk));
    call("llvm.nvvm.cp.async.cg.shared.global.16.s", {to, global(source), size});
  }
}

void Lowering::copyElements(const Window &window, const SharedTile &tile, TypedAttr fill,
                            std::optional<int64_t> flags) {
  Type element = typeInMemory(window.view->element);
  Value other = fill ? arith::ConstantOp::create(builder, loc, fill).getResult() : zeroOf(element);
  int64_t total = tile.paddedRows * tile.paddedColumns;
  auto loop = scf::ForOp::create(builder, loc, thread, i32(total), i32(threads()));
  keepRolled(loop);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPoint(loop.getBody()->getTerminator());
  Value at = loop.getInductionVar(), columns = i32(tile.paddedColumns);
  Value row = arith::DivUIOp::create(builder, loc, at, columns);
  Value column = arith::RemUIOp::create(builder, loc, at, columns);
  Value in = rowInside(window, row);
  if (flags)
    in = arith::AndIOp::create(builder, loc, in, isKept(row, *flags));
  if (Value columnIn = columnInside(window, column))
    in = arith::AndIOp::create(builder, loc, in, columnIn);
  if (tile.columns != tile.paddedColumns && !window.columnsInside) {
    Value inTile =
        arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, column, i32(tile.columns));
    in = arith::AndIOp::create(builder, loc, in, inTile);
  }
  auto read = scf::IfOp::create(builder, loc, TypeRange{element}, in, /*withElseRegion=*/true);
  {
    OpBuilder::InsertionGuard inner(builder);
    builder.setInsertionPointToStart(read.thenBlock());
    Value from =
        frame.pointerAt(rowPointer(window, row), frame.mul(frame.widen(column), tile.elementBytes));
    scf::YieldOp::create(builder, loc, load(element, global(from)));
    builder.setInsertionPointToStart(read.elseBlock());
    scf::YieldOp::create(builder, loc, other);
  }
  store(read.getResult(0), placeIn(tile, {row, 0}, {column, 0}));
}
