// Windows of views: addresses, and what goes from and to registers.

#include "ringc/compiler/passes/gpu/Windows.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace ringc;
using namespace ringc::gpu;
using Kind = FragmentLayout::Kind;

Windows::Window Windows::windowOf(Value view, ValueRange offsets, std::array<int64_t, 2> extents,
                                  Value names) {
  auto type = cast<tile::ViewType>(view.getType());
  Window window;
  window.view = &frame.view(view);
  std::tie(window.tileRows, window.tileColumns) = std::tie(extents[0], extents[1]);
  if (names)
    window.named = words.lookup(names);
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

bool Windows::rowsAreEquallySpaced(const Window &window) const {
  return !window.named && (!window.view->groupStride || frame.groupSize() == 1);
}

/// Where a row of the window lies in the view. What is asked for behind the tile is its last row.
Value Windows::viewRow(const Window &window, Value row) {
  if (window.named) {
    Value last = i32(window.tileRows - 1);
    Value at = arith::MinUIOp::create(builder, loc, row, last);
    row = load(builder.getI32Type(), sharedPointer(mul(at, 4), *window.named));
  }
  return add(window.row, row);
}

/// Of a row of the window, at its first column.
Value Windows::rowPointer(const Window &window, Value row) {
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
Value Windows::rowInView(const Window &window, Value row) {
  return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, viewRow(window, row),
                               window.rows);
}

/// Whether a row lies inside the tile and its view.
Value Windows::rowInside(const Window &window, Value row) {
  Value inTile =
      arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, row, i32(window.tileRows));
  return arith::AndIOp::create(builder, loc, rowInView(window, row), inTile);
}

/// The same of a column; null where all columns of the tile are columns of the view.
Value Windows::columnInside(const Window &window, Value column) {
  if (!window.columnsInside)
    return {};
  auto below = [&](Value a, Value b) -> Value {
    return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, a, b);
  };
  return arith::AndIOp::create(builder, loc,
                               below(add(window.column, column), window.columnsInside),
                               below(column, i32(window.tileColumns)));
}

Windows::Places Windows::placesOf(const Window &window, const FragmentLayout &layout,
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
      return {mBase, grid.mFurther(m), grid.reachM(layout) > layout.mExtent};
    return {nBase, grid.nFurther(n), grid.reachN(layout) > layout.nExtent};
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

/// Whether so many bytes may be moved at once, from multiples of them on in each row: the pointer
/// and all strides are multiples, and what lies outside begins at one.
Value Windows::isAligned(const Window &window, int64_t bytes) {
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
