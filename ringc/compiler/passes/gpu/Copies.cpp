// Windows of views on their way to shared memory, where products read them.

#include "ringc/compiler/passes/gpu/Copies.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace ringc;
using namespace ringc::gpu;
using Kind = FragmentLayout::Kind;

/// Starts copying a window to shared memory, zeros (or `fill`) outside: 16 bytes at a time by
/// cp.async where rows are whole chunks, windows start at one and the view is aligned for it,
/// element by element where it is not.
void Copies::lower(block::CopyOp copy) {
  SharedTile tile = shared.lookup(copy.getBuffer());
  if (copy.getBuffer().getType().getByColumns())
    return copyColumn(copy, tile);
  std::optional<RowsKept> kept;
  if (Value where = copy.getWhere())
    kept = RowsKept{words.lookup(where),
                    copy.getCondition() ? scalars.lookup(copy.getCondition()) : Value(),
                    copy.getInside()};
  TypedAttr fill = copy.getFillAttr();
  Window window =
      windowOf(copy.getView(), copy.getOffsets(), {tile.rows, tile.columns}, copy.getRows());
  auto number = dyn_cast_or_null<FloatAttr>(fill);
  bool zeros = !fill || (number && number.getValue().isPosZero());
  bool chunked = zeros && !window.columnsInside && tile.columns * tile.elementBytes % 16 == 0;
  bool areInside = kept && kept->areInside && tile.paddedRows <= window.tileRows;
  auto start = [&](std::optional<int64_t> flags) {
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
    start(kept ? std::optional(kept->offset) : std::nullopt);
    return;
  }
  auto branch = scf::IfOp::create(builder, loc, kept->condition, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(branch.thenBlock());
  start(kept->offset);
  builder.setInsertionPointToStart(branch.elseBlock());
  start(std::nullopt);
}

/// Whether `row` of the tile is one that the flags keep, i1.
Value Copies::isKept(Value row, int64_t flags) {
  Value flag = load(builder.getI32Type(), sharedPointer(mul(row, 4), flags));
  return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ne, flag, i32(0));
}

/// Every thread takes each threads()-th chunk. Where a turn of all threads is a number of rows, a
/// thread stays in its column, and its rows are one step after another. `areInside`: the view has
/// all rows that the flags keep, or, without flags, all rows of the tile.
void Copies::copyChunks(const Window &window, const SharedTile &tile, std::optional<int64_t> flags,
                        bool areInside) {
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

void Copies::copyElements(const Window &window, const SharedTile &tile, TypedAttr fill,
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

/// Starts copying the column, a number a thread; zeros outside.
void Copies::copyColumn(block::CopyOp copy, const SharedTile &place) {
  Window window = windowOf(copy.getView(), copy.getOffsets(), {place.columns, 1});
  for (int64_t first = 0; first < place.paddedColumns; first += threads()) {
    Value row = first ? add(thread, i32(first)) : thread;
    OpBuilder::InsertionGuard guard(builder);
    if (first + threads() > place.paddedColumns) {
      Value mine = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, row,
                                         i32(place.paddedColumns));
      auto branch = scf::IfOp::create(builder, loc, mine, /*withElseRegion=*/false);
      builder.setInsertionPointToStart(branch.thenBlock());
    }
    Value in = rowInside(window, row);
    Value from =
        arith::SelectOp::create(builder, loc, in, rowPointer(window, row), window.view->pointer);
    Value size = arith::SelectOp::create(builder, loc, in, i32(4), i32(0));
    Value to = add(mul(row, 4), i32(place.offset));
    if (place.stage)
      to = add(to, place.stage);
    call("llvm.nvvm.cp.async.ca.shared.global.4.s", {sharedPointer(to), global(from), size});
  }
}
