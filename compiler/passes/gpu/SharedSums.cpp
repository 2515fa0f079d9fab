// Adding stores to a place that several programs add to: red.global.add.f32, in no fixed order.
//
// m is the view's columns where a product made the tile (Lowering::chooseTransposed), so that the
// eight threads of a column of lanes add to 32 bytes side by side, and the memory takes whole
// sectors.

#include "compiler/passes/gpu/Lowering.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace ringc;
using namespace ringc::gpu;
using Kind = FragmentLayout::Kind;

void Lowering::addAtomically(Value value, Value pointer) {
  LLVM::AtomicRMWOp::create(builder, loc, LLVM::AtomicBinOp::fadd, pointer, value,
                            LLVM::AtomicOrdering::monotonic);
}

/// Whether a fragment's elements are the tile's, none beyond it.
bool Lowering::coversExactly(const FragmentLayout &layout) const {
  return layout.mBlocks * 16 * warps == layout.mExtent && layout.nBlocks * 8 == layout.nExtent;
}

/// Adds a matrix whose window lies inside its view as a whole: no element asks where it is, and
/// rows are a stride from one another, reached by adding it.
void Lowering::addWholeMatrix(const Window &window, const Fragment &tile) {
  const FragmentLayout &layout = tile.layout;
  bool rowsAreM = layout.mAxis == 0;
  auto mOffset = [&](int64_t e) { return layout.mOf(e) / 2 * warps * 16 + layout.mOf(e) % 2 * 8; };
  auto nOffset = [&](int64_t e) { return layout.nOf(e) / 2 * 8 + layout.nOf(e) % 2; };
  llvm::MapVector<int64_t, SmallVector<int64_t>> rows; // elements by their row after the first
  for (int64_t e = 0; e < layout.count(); ++e)
    rows[rowsAreM ? mOffset(e) : nOffset(e)].push_back(e);
  Value firstRow = rowsAreM ? mBase : nBase, firstColumn = rowsAreM ? nBase : mBase;
  Value columnBytes = frame.mul(frame.widen(firstColumn), 4);
  auto pointerOf = [&](int64_t row) {
    return frame.pointerAt(rowPointer(window, add(firstRow, i32(row))), columnBytes);
  };
  Value pointer = pointerOf(0);
  int64_t at = 0;
  for (const auto &[row, elements] : rows) {
    if (row != at)
      pointer = rowsAreEquallySpaced(window)
                    ? frame.pointerAt(pointer, frame.mul(window.view->strides[0], 4 * (row - at)))
                    : pointerOf(row);
    at = row;
    for (int64_t e : elements) {
      int64_t column = rowsAreM ? nOffset(e) : mOffset(e);
      addAtomically(tile.elements[static_cast<size_t>(e)],
                    global(frame.pointerAt(pointer, frame.constant(4 * column))));
    }
  }
}

/// Whether all rows of the tile are rows of the view.
Value Lowering::holdsAllRows(const Window &window) {
  return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::sle,
                               add(window.row, i32(window.tileRows)), window.rows);
}
