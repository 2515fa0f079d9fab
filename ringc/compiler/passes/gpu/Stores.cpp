// Tiles on their way to windows of views. What a product has summed up lies in the registers of a
// thread two neighbours here and two there. Behind a loop it goes through the shared memory that
// the loop's windows had: from there any thread takes neighbours, 16 bytes at a time, and a rolled
// loop serves all, aligned views and others.

#include "ringc/compiler/passes/gpu/Lowering.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

#include <numeric>

using namespace mlir;
using namespace ringc;
using namespace ringc::gpu;
using Kind = FragmentLayout::Kind;

LogicalResult Lowering::lowerStore(tile::StoreOp store) {
  auto type = cast<RankedTensorType>(store.getTile().getType());
  FailureOr<Fragment> given = whole(store.getTile(), store);
  if (failed(given))
    return failure();
  Fragment tile = expanded(*given, layoutOf(store.getTile()));
  if (store.getView().getType().isOfSums())
    return storeSums(store, tile);
  Window window = windowOf(store.getView().getType(), store.getView(), store.getOffsets(), type);
  if (store.getRows()) {
    FailureOr<int64_t> named = shareNamedRows(store.getRows());
    if (failed(named))
      return failure();
    window.named = *named;
  }
  SharedTile place = placeBehindLoops(store);
  if (!place.columns) {
    storeRegisters(store, window, tile);
    return success();
  }
  thread = threadAgain();
  placeThread();
  // As many columns at a time as there is room for.
  Value start = window.column;
  int64_t columns = place.columns;
  for (int64_t first = 0; first < tile.layout.nExtent; first += columns) {
    Fragment part{tile.layout, {}};
    part.layout.nExtent = place.columns = std::min(columns, tile.layout.nExtent - first);
    part.layout.nBlocks = llvm::divideCeil(place.columns, grid.nTurn()) * 2;
    for (int64_t e = 0; e < part.layout.count(); ++e)
      part.elements.push_back(tile.elements[static_cast<size_t>(
          tile.layout.at(part.layout.mOf(e), part.layout.nOf(e) + first / grid.nTurn() * 4))]);
    writeShared(part, place);
    barrier();
    window.column = add(start, i32(first));
    storeFromShared(store, window, place);
    settled = false;
  }
  return success();
}

/// Where columns of a tile fit that this program alone writes, as rows: in shared memory that the
/// block has needed before, and needs no more. No columns: nowhere.
SharedTile Lowering::placeBehindLoops(tile::StoreOp store) const {
  Type element = cast<RankedTensorType>(store.getTile().getType()).getElementType();
  FragmentLayout layout = layoutOf(store.getTile());
  SharedTile place;
  bool atomic = store.getAdd() && !belongsToProgram(store);
  if (loopDepth > 0 || layout.kind != Kind::Matrix || layout.mAxis != 0 ||
      !isa<FloatType>(element) || atomic)
    return place;
  place.offset = sharedTop;
  place.rows = place.paddedRows = layout.mExtent;
  place.elementBytes = bytesInMemory(element);
  for (place.paddedColumns = reachN(layout); place.paddedColumns > 0;
       place.paddedColumns -= grid.nTurn())
    if (sharedTop + place.bytes() <= sharedHighWater)
      break;
  place.columns = std::min(place.paddedColumns, layout.nExtent);
  return place;
}

void Lowering::storeFromShared(tile::StoreOp store, const Window &window, const SharedTile &tile) {
  int64_t bytes = std::gcd<int64_t>(16, tile.columns * tile.elementBytes);
  if (bytes == tile.elementBytes)
    return storeElements(store, window, tile);
  auto branch = scf::IfOp::create(builder, loc, isAligned(window, bytes), /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(branch.thenBlock());
  storeChunks(store, window, tile, bytes);
  builder.setInsertionPointToStart(branch.elseBlock());
  storeElements(store, window, tile);
}

/// So many bytes at a time, in turns of all threads. Of four turns everything is read before the
/// first is written: one wait for what they add to.
void Lowering::storeChunks(tile::StoreOp store, const Window &window, const SharedTile &tile,
                           int64_t bytes) {
  constexpr int64_t turnsTogether = 4;
  int64_t elements = bytes / tile.elementBytes, chunks = tile.columns / elements;
  int64_t total = tile.rows * chunks;
  int64_t turns = std::min<int64_t>(turnsTogether, llvm::divideCeil(total, threads()));
  Type type = store.getAdd() ? Type(VectorType::get({elements}, window.view->element))
              : bytes > 4    ? Type(VectorType::get({bytes / 4}, builder.getI32Type()))
                             : Type(builder.getIntegerType(static_cast<unsigned>(8 * bytes)));
  auto loop = scf::ForOp::create(builder, loc, thread, i32(total), i32(turns * threads()));
  keepRolled(loop);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPoint(loop.getBody()->getTerminator());
  struct Chunk {
    Value in, pointer, value;
  };
  SmallVector<Chunk> all;
  Value first = loop.getInductionVar();
  Value firstRow = arith::DivUIOp::create(builder, loc, first, i32(chunks));
  Value firstChunk = arith::RemUIOp::create(builder, loc, first, i32(chunks));
  for (int64_t turn = 0; turn < turns; ++turn) {
    Value row = firstRow, chunk = firstChunk;
    int64_t further = turn * threads();
    bool columnStays = further % chunks == 0;
    if (columnStays) {
      row = add(firstRow, i32(further / chunks));
    } else {
      Value at = add(first, i32(further));
      row = arith::DivUIOp::create(builder, loc, at, i32(chunks));
      chunk = arith::RemUIOp::create(builder, loc, at, i32(chunks));
    }
    bool mayExceed = total % (turns * threads()) != 0;
    Value column = mul(chunk, elements);
    Value in = mayExceed ? rowInside(window, row) : rowInView(window, row);
    if (Value columnIn = columnInside(window, column))
      in = arith::AndIOp::create(builder, loc, in, columnIn);
    Value from = columnStays ? placeIn(tile, {firstRow, further / chunks}, {column, 0})
                             : placeIn(tile, {row, 0}, {column, 0});
    Value to = global(frame.pointerAt(rowPointer(window, row),
                                      frame.mul(frame.widen(column), tile.elementBytes)));
    auto branch = scf::IfOp::create(builder, loc, type, in, /*withElseRegion=*/true);
    OpBuilder::InsertionGuard inner(builder);
    builder.setInsertionPointToStart(branch.thenBlock());
    Value value = load(type, from);
    if (store.getAdd())
      value = arith::AddFOp::create(builder, loc, load(type, to), value);
    scf::YieldOp::create(builder, loc, value);
    builder.setInsertionPointToStart(branch.elseBlock());
    scf::YieldOp::create(builder, loc, LLVM::UndefOp::create(builder, loc, type).getResult());
    all.push_back({in, to, branch.getResult(0)});
  }
  for (const Chunk &chunk : all) {
    auto branch = scf::IfOp::create(builder, loc, chunk.in, /*withElseRegion=*/false);
    OpBuilder::InsertionGuard inner(builder);
    builder.setInsertionPointToStart(branch.thenBlock());
    this->store(chunk.value, chunk.pointer);
  }
}

/// The same element by element, in rows that are not aligned for more.
void Lowering::storeElements(tile::StoreOp store, const Window &window, const SharedTile &tile) {
  Type element = window.view->element;
  auto loop =
      scf::ForOp::create(builder, loc, thread, i32(tile.rows * tile.columns), i32(threads()));
  keepRolled(loop);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPoint(loop.getBody()->getTerminator());
  Value at = loop.getInductionVar(), columns = i32(tile.columns);
  Value row = arith::DivUIOp::create(builder, loc, at, columns);
  Value column = arith::RemUIOp::create(builder, loc, at, columns);
  Value in = rowInView(window, row);
  if (Value columnIn = columnInside(window, column))
    in = arith::AndIOp::create(builder, loc, in, columnIn);
  auto branch = scf::IfOp::create(builder, loc, in, /*withElseRegion=*/false);
  builder.setInsertionPointToStart(branch.thenBlock());
  Value to = global(
      frame.pointerAt(rowPointer(window, row), frame.mul(frame.widen(column), tile.elementBytes)));
  Value value = load(element, placeIn(tile, {row, 0}, {column, 0}));
  if (store.getAdd())
    value = arith::AddFOp::create(builder, loc, load(element, to), value);
  this->store(value, to);
}
