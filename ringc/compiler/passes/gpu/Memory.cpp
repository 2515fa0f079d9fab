// Windows of views: addresses, and what goes from and to registers.

#include "ringc/compiler/passes/StorePlaces.h"
#include "ringc/compiler/passes/gpu/Lowering.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace ringc;
using namespace ringc::gpu;
using Kind = FragmentLayout::Kind;

Type ringc::gpu::typeInMemory(Type element) {
  return element.isInteger(1) ? IntegerType::get(element.getContext(), 8) : element;
}
int64_t ringc::gpu::bytesInMemory(Type element) {
  return typeInMemory(element).getIntOrFloatBitWidth() / 8;
}

Lowering::Window Lowering::windowOf(tile::ViewType type, Value view, ValueRange offsets,
                                    RankedTensorType tile) {
  Window window;
  window.view = &frame.view(view);
  window.tileRows = tile.getDimSize(0);
  window.tileColumns = tile.getDimSize(1);
  window.row = scalars.lookup(offsets[0]);
  auto extentOf = [&](int64_t axis) {
    int64_t number = type.getStaticExtent(axis);
    return number >= 0 ? i32(number) : frame.narrow(frame.extent(type.getExtentName(axis)));
  };
  window.rows = extentOf(0);
  if (Value inside = window.view->inside)
    window.rows = arith::SelectOp::create(builder, loc, inside, window.rows, i32(0));
  window.column = i32(0);
  if (type.getRank() == 1)
    return window;
  window.column = scalars.lookup(offsets[1]);
  auto start = window.column.getDefiningOp<arith::ConstantOp>();
  bool atZero = start && cast<IntegerAttr>(start.getValue()).getInt() == 0;
  if (!(atZero && type.getStaticExtent(1) >= window.tileColumns))
    window.columnsInside = extentOf(1);
  return window;
}

FailureOr<Lowering::Window> Lowering::windowOf(tile::LoadOp load) {
  Window window =
      windowOf(load.getView().getType(), load.getView(), load.getOffsets(), load.getType());
  if (!load.getRows())
    return window;
  FailureOr<int64_t> named = shareNamedRows(load.getRows());
  if (failed(named))
    return failure();
  window.named = *named;
  return window;
}

/// A column of i32 in shared memory, for the threads that need it: not those that hold it.
FailureOr<int64_t> Lowering::shareNamedRows(Value rows) {
  if (auto there = namedRows.find(rows); there != namedRows.end())
    return there->second;
  int64_t offset = 0;
  allocateShared(4 * cast<RankedTensorType>(rows.getType()).getDimSize(0), offset);
  barrier(); // what was here before has been read
  if (failed(writeColumn(rows, offset)))
    return failure();
  settled = false;
  namedRows[rows] = offset;
  return offset;
}

bool Lowering::rowsAreEquallySpaced(const Window &window) const {
  return !window.named && (!window.view->groupStride || frame.groupSize() == 1);
}

/// Where a row of the window lies in the view. What is asked for behind the tile is its last row.
Value Lowering::viewRow(const Window &window, Value row) {
  if (window.named) {
    Value last = i32(window.tileRows - 1);
    Value at = arith::MinUIOp::create(builder, loc, row, last);
    row = load(builder.getI32Type(), sharedPointer(mul(at, 4), *window.named));
  }
  return add(window.row, row);
}

/// Of a row of the window, at its first column.
Value Lowering::rowPointer(const Window &window, Value row) {
  const cpu::KernelFrame::View &view = *window.view;
  Value at = viewRow(window, row), offset;
  if (!view.groupStride || frame.groupSize() == 1) {
    offset = frame.mul(frame.widen(at), view.strides[0]);
  } else {
    Value group = i32(frame.groupSize());
    Value position = frame.widen(arith::DivUIOp::create(builder, loc, at, group));
    Value member = frame.widen(arith::RemUIOp::create(builder, loc, at, group));
    offset = frame.add(frame.mul(position, view.strides[0]), frame.mul(member, view.groupStride));
  }
  if (view.strides.size() == 2)
    offset = frame.add(offset, frame.mul(frame.widen(window.column), view.strides[1]));
  return frame.pointerAt(view.pointer, frame.mul(offset, bytesInMemory(view.element)));
}

/// Whether a row of the tile lies inside the view. Unsigned: what lies before the view is far
/// behind it, and views have fewer than 2^31 rows.
Value Lowering::rowInView(const Window &window, Value row) {
  return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, viewRow(window, row),
                               window.rows);
}

/// Whether a row lies inside the tile and its view.
Value Lowering::rowInside(const Window &window, Value row) {
  Value inTile =
      arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, row, i32(window.tileRows));
  return arith::AndIOp::create(builder, loc, rowInView(window, row), inTile);
}

/// The same of a column; null where all columns of the tile are columns of the view.
Value Lowering::columnInside(const Window &window, Value column) {
  if (!window.columnsInside)
    return {};
  auto below = [&](Value a, Value b) -> Value {
    return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, a, b);
  };
  return arith::AndIOp::create(builder, loc,
                               below(add(window.column, column), window.columnsInside),
                               below(column, i32(window.tileColumns)));
}

/// Where the elements of a fragment lie in a window. Rows and columns that the thread has several
/// of differ by constants, so that one address serves all columns of a row.
struct Lowering::Places {
  /// Elements that share a row of the view: a run of `elements` and `columns` side by side.
  struct Row {
    Value in, pointer; ///< of the thread's first column
    SmallVector<int64_t> elements, bytes;
    SmallVector<Value> columnIn; ///< null where it always is
  };
  SmallVector<Row> rows;
  bool pairs = false; ///< elements 2i and 2i + 1 of a row are neighbours in memory
};

Lowering::Places Lowering::placesOf(const Window &window, const FragmentLayout &layout,
                                    RankedTensorType type) {
  struct Coordinate {
    Value first;     ///< of the thread
    int64_t further; ///< constant
    bool beyond;     ///< may lie outside the tile
  };
  auto coordinateOf = [&](int axis, int64_t e) -> Coordinate {
    if (layout.kind != Kind::Matrix && type.getDimSize(axis) == 1)
      return {i32(0), 0, false};
    bool alongM = layout.kind == Kind::Matrix ? layout.mAxis == axis : layout.kind == Kind::AlongM;
    int64_t m = layout.mOf(e), n = layout.nOf(e);
    if (alongM)
      return {mBase, grid.mFurther(m), reachM(layout) > layout.mExtent};
    return {nBase, grid.nFurther(n), reachN(layout) > layout.nExtent};
  };
  Places places;
  places.pairs = layout.kind == Kind::Matrix && layout.mAxis == 0 && type.getDimSize(1) % 2 == 0;
  int64_t bytes = bytesInMemory(window.view->element);
  llvm::MapVector<int64_t, Places::Row> rows;
  llvm::DenseMap<int64_t, Value> columns;
  for (int64_t e = 0; e < layout.count(); ++e) {
    Coordinate row = coordinateOf(0, e), column = coordinateOf(1, e);
    auto [place, isNew] = rows.try_emplace(row.further);
    if (isNew) {
      Value at = add(row.first, i32(row.further));
      place->second.in = rowInside(window, at);
      place->second.pointer =
          frame.pointerAt(rowPointer(window, at), frame.mul(frame.widen(column.first), bytes));
    }
    auto [in, isNewColumn] = columns.try_emplace(column.further);
    if (isNewColumn && (window.columnsInside || column.beyond)) {
      Value at = add(column.first, i32(column.further));
      in->second = columnInside(window, at);
      if (!in->second)
        in->second = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, at,
                                           i32(window.tileColumns));
    }
    place->second.elements.push_back(e);
    place->second.bytes.push_back(column.further * bytes);
    place->second.columnIn.push_back(in->second);
  }
  for (auto &row : rows)
    places.rows.push_back(row.second);
  return places;
}

LogicalResult Lowering::loadRegisters(tile::LoadOp load) {
  if (isStreamedColumn(load) && shared.count(load.getResult())) {
    readColumn(load, shared.lookup(load.getResult()));
    return success();
  }
  if (load.getView().getType().isOfSums())
    return loadSums(load);
  auto type = cast<RankedTensorType>(load.getResult().getType());
  FailureOr<Window> found = windowOf(load);
  if (failed(found))
    return failure();
  Window window = *found;
  Type inMemory = typeInMemory(window.view->element);
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
  Places places = placesOf(window, layout, type);
  auto kept = [&](const Places::Row &row) -> Value {
    if (!where)
      return row.in;
    int64_t e = row.elements.front();
    Value one =
        where->elements[static_cast<size_t>(where->layout.at(layout.mOf(e), layout.nOf(e)))];
    return arith::AndIOp::create(builder, loc, row.in, one);
  };
  // `together` neighbours by one instruction, the first of which says whether its column is inside.
  auto readRow = [&](const Places::Row &row, size_t together) {
    SmallVector<Value> values;
    for (size_t i = 0; i < row.elements.size(); i += together) {
      Value from = frame.pointerAt(row.pointer, frame.constant(row.bytes[i]));
      if (row.columnIn[i])
        from = arith::SelectOp::create(builder, loc, row.columnIn[i], from, window.view->pointer);
      Type read = together == 1 ? inMemory : VectorType::get({2}, inMemory);
      Value loaded = this->load(read, global(from));
      for (size_t each = 0; each < together; ++each) {
        Value value = loaded;
        if (together > 1)
          value =
              LLVM::ExtractElementOp::create(builder, loc, loaded, i32(static_cast<int64_t>(each)));
        if (type.getElementType().isInteger(1))
          value = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ne, value,
                                        zeroOf(inMemory));
        if (row.columnIn[i])
          value = arith::SelectOp::create(builder, loc, row.columnIn[i], value, fill);
        values.push_back(value);
      }
    }
    return values;
  };
  auto readAll = [&](size_t together) {
    SmallVector<Value> all(static_cast<size_t>(layout.count()));
    for (const Places::Row &row : places.rows) {
      SmallVector<Type> types(row.elements.size(), type.getElementType());
      auto branch = scf::IfOp::create(builder, loc, types, kept(row), /*withElseRegion=*/true);
      OpBuilder::InsertionGuard guard(builder);
      builder.setInsertionPointToStart(branch.elseBlock());
      scf::YieldOp::create(builder, loc, SmallVector<Value>(row.elements.size(), fill));
      builder.setInsertionPointToStart(branch.thenBlock());
      scf::YieldOp::create(builder, loc, readRow(row, together));
      for (auto [e, value] : llvm::zip(row.elements, branch.getResults()))
        all[static_cast<size_t>(e)] = value;
    }
    return all;
  };
  Fragment made{layout, {}};
  if (!places.pairs || window.view->element.isInteger(1)) {
    made.elements = readAll(1);
  } else {
    SmallVector<Type> types(static_cast<size_t>(layout.count()), type.getElementType());
    Value aligned = isAligned(window, 2 * bytesInMemory(window.view->element));
    auto branch = scf::IfOp::create(builder, loc, types, aligned, /*withElseRegion=*/true);
    OpBuilder::InsertionGuard guard(builder);
    for (auto [block, together] : {std::pair(branch.thenBlock(), 2), {branch.elseBlock(), 1}}) {
      builder.setInsertionPointToStart(block);
      scf::YieldOp::create(builder, loc, readAll(static_cast<size_t>(together)));
    }
    made.elements.assign(branch.getResults().begin(), branch.getResults().end());
  }
  fragments[load.getResult()] = made;
  return success();
}

/// Whether so many bytes may be moved at once, from multiples of them on in each row: the pointer
/// and all strides are multiples, and what lies outside begins at one.
Value Lowering::isAligned(const Window &window, int64_t bytes) {
  const cpu::KernelFrame::View &view = *window.view;
  int64_t elementBytes = bytesInMemory(view.element);
  Value all = LLVM::PtrToIntOp::create(builder, loc, builder.getI64Type(), view.pointer);
  auto also = [&](Value elements) {
    all = arith::OrIOp::create(builder, loc, all, frame.mul(elements, elementBytes));
  };
  also(view.strides[0]);
  also(frame.widen(window.column));
  if (view.groupStride)
    also(view.groupStride);
  if (window.columnsInside)
    also(frame.widen(window.columnsInside));
  Value odd = arith::AndIOp::create(builder, loc, all, frame.constant(bytes - 1));
  return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, odd, frame.constant(0));
}

bool ringc::gpu::belongsToProgram(tile::StoreOp store) { return storePlacesOf(store).areOwn(); }

/// Each thread its own elements, neighbours in pairs where the view is aligned for it.
void Lowering::storeRegisters(tile::StoreOp store, const Window &window, const Fragment &tile) {
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
  bool atomic = store.getAdd() && !belongsToProgram(store);
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
      addAtomically(value, pointer);
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
