// Tiles on their way to windows of views. What a product has summed up lies in the registers of a
// thread two neighbours here and two there. Behind a loop it goes through the shared memory that
// the loop's windows had: from there any thread takes neighbours, 16 bytes at a time, and a rolled
// loop serves all, aligned views and others.

#include "ringc/compiler/passes/gpu/Stores.h"

#include "ringc/compiler/passes/gpu/Sums.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

#include <numeric>

using namespace mlir;
using namespace ringc;
using namespace ringc::gpu;
using Kind = FragmentLayout::Kind;

LogicalResult Stores::lower(block::StoreOp store) {
  auto type = cast<RankedTensorType>(store.getTile().getType());
  FailureOr<Fragment> given = whole(store.getTile(), store);
  if (failed(given))
    return failure();
  Fragment tile = expanded(*given, layoutOf(store.getTile()));
  if (store.getView().getType().isOfSums())
    return Sums(code).lower(store, tile);
  Window window = windowOf(store.getView(), store.getOffsets(),
                           {type.getDimSize(0), type.getDimSize(1)}, store.getRows());
  storeRegisters(store, window, tile);
  return success();
}

void Stores::lower(block::StoreSharedOp store) {
  SharedTile tile = shared.lookup(store.getBuffer());
  int64_t first = static_cast<int64_t>(store.getFirst()),
          columns = static_cast<int64_t>(store.getColumns());
  Window window =
      windowOf(store.getView(), store.getOffsets(), {tile.rows, columns}, store.getRows());
  tile.columns = std::min(tile.columns, columns - first);
  window.column = add(window.column, i32(first));
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
void Stores::storeChunks(block::StoreSharedOp store, const Window &window, const SharedTile &tile,
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
void Stores::storeElements(block::StoreSharedOp store, const Window &window,
                           const SharedTile &tile) {
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

/// Each thread its own elements, neighbours in pairs where the view is aligned for it.
void Stores::storeRegisters(block::StoreOp store, const Window &window, const Fragment &tile) {
  auto type = cast<RankedTensorType>(store.getTile().getType());
  const FragmentLayout &layout = tile.layout;
  Type element = window.view->element, inMemory = typeInMemory(element);
  auto equals = [&](Value a, int64_t b) -> Value {
    return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, a, i32(b));
  };
  // Of the threads that hold the same number one writes it.
  Value writes;
  if (layout.kind == Kind::AlongM)
    writes = equals(nBase, 0);
  else if (layout.kind == Kind::AlongN)
    writes = equals(mBase, 0);
  else if (layout.kind == Kind::Single)
    writes = equals(thread, 0);
  bool atomic = store.getAtomic();
  auto write = [&](ArrayRef<Value> values, Value pointer) {
    Value value = values.front();
    if (element.isInteger(1))
      value = arith::ExtUIOp::create(builder, loc, inMemory, value);
    if (values.size() == 2) {
      value = LLVM::UndefOp::create(builder, loc, VectorType::get({2}, element));
      for (auto [i, each] : llvm::enumerate(values))
        value =
            LLVM::InsertElementOp::create(builder, loc, value, each, i32(static_cast<int64_t>(i)));
    }
    if (atomic) {
      Sums(code).addAtomically(value, pointer);
      return;
    }
    if (store.getAdd())
      value = arith::AddFOp::create(builder, loc, load(value.getType(), pointer), value);
    this->store(value, pointer);
  };
  Places places = placesOf(window, layout, type);
  auto writeRow = [&](const Places::Row &row, size_t together) {
    Value in = writes ? arith::AndIOp::create(builder, loc, row.in, writes).getResult() : row.in;
    auto branch = scf::IfOp::create(builder, loc, in, /*withElseRegion=*/false);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(branch.thenBlock());
    for (size_t i = 0; i < row.elements.size(); i += together) {
      OpBuilder::InsertionGuard inner(builder);
      if (row.columnIn[i]) {
        auto column = scf::IfOp::create(builder, loc, row.columnIn[i], /*withElseRegion=*/false);
        builder.setInsertionPointToStart(column.thenBlock());
      }
      SmallVector<Value> values;
      for (size_t each = 0; each < together; ++each)
        values.push_back(tile.elements[static_cast<size_t>(row.elements[i + each])]);
      write(values, global(frame.pointerAt(row.pointer, frame.constant(row.bytes[i]))));
    }
  };
  auto writeAll = [&](size_t together) {
    for (const Places::Row &row : places.rows)
      writeRow(row, together);
  };
  if (!places.pairs || element.isInteger(1) || atomic) {
    writeAll(1);
    return;
  }
  auto branch = scf::IfOp::create(builder, loc, isAligned(window, 2 * bytesInMemory(element)),
                                  /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(branch.thenBlock());
  writeAll(2);
  builder.setInsertionPointToStart(branch.elseBlock());
  writeAll(1);
}
