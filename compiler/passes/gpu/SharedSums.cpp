// Adding stores to a place that several programs add to: red.global.add.f32, in no fixed order.
//
// m is the view's columns where a product made the tile (Lowering::chooseTransposed), so that the
// eight threads of a column of lanes add to 32 bytes side by side, and their neighbours to the next
// 32 bytes: an addition of a warp touches two lines of memory.

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
  return reachM(layout) == layout.mExtent && reachN(layout) == layout.nExtent;
}

/// Columns are m: a thread has m and m + 8 of one row, its neighbour (lane ^ 1) of the row two
/// further. They exchange, so that both have numbers of one row, of its m and of its m + 8.
Lowering::NeighbourRows Lowering::exchangeRows(const Fragment &tile) {
  NeighbourRows made;
  Value isOdd = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ne,
                                      arith::AndIOp::create(builder, loc, lane, i32(1)), i32(0));
  auto choose = [&](Value odd, Value even) -> Value {
    return arith::SelectOp::create(builder, loc, isOdd, odd, even);
  };
  made.tile = tile;
  for (int64_t e = 0; e < tile.layout.count(); ++e) {
    if (e % 4 / 2)
      continue;
    Value &near = made.tile.elements[static_cast<size_t>(e)],
          &far = made.tile.elements[static_cast<size_t>(e) + 2];
    Value given = choose(near, far);
    Value taken = intrinsic(builder.getF32Type(), "llvm.nvvm.shfl.sync.bfly.f32",
                            {i32(-1), given, i32(1), i32(31)});
    near = choose(taken, near);
    far = choose(far, taken);
  }
  made.column = add(mBase, choose(i32(8), i32(0)));
  made.row = add(nBase, choose(i32(-2), i32(0)));
  return made;
}

/// Adds a matrix whose window lies inside its view as a whole: no element asks where it is, and
/// rows are a stride from one another, reached by adding it.
void Lowering::addWholeMatrix(const Window &window, const Fragment &tile) {
  const FragmentLayout &layout = tile.layout;
  bool rowsAreM = layout.mAxis == 0;
  NeighbourRows place = rowsAreM ? NeighbourRows{tile, mBase, nBase} : exchangeRows(tile);
  struct Addition {
    int64_t element, column;
  };
  llvm::MapVector<int64_t, SmallVector<Addition>> rows; // by row after the first
  for (int64_t e = 0; e < layout.count(); ++e) {
    int64_t m = layout.mOf(e), n = layout.nOf(e);
    if (rowsAreM)
      rows[grid.mFurther(m)].push_back({e, grid.nFurther(n)});
    else
      rows[grid.nFurther(n) + m % 2 * 2].push_back({e, grid.mFurther(m - m % 2)});
  }
  Value columnBytes = frame.mul(frame.widen(place.column), 4);
  auto pointerOf = [&](int64_t row) {
    return frame.pointerAt(rowPointer(window, add(place.row, i32(row))), columnBytes);
  };
  // Rows a group apart are a stride of the view apart: those are reached one after another.
  int64_t group = rowsAreEquallySpaced(window) ? 1 : frame.groupSize();
  auto additionsAt = rows.takeVector();
  llvm::stable_sort(additionsAt, [&](const auto &a, const auto &b) {
    return std::pair(a.first % group, a.first) < std::pair(b.first % group, b.first);
  });
  Value pointer;
  int64_t at = -1;
  for (const auto &[row, additions] : additionsAt) {
    bool follows = at >= 0 && (row - at) % group == 0;
    if (!follows)
      pointer = pointerOf(row);
    else if (row != at)
      pointer =
          frame.pointerAt(pointer, frame.mul(window.view->strides[0], 4 * ((row - at) / group)));
    at = row;
    for (const Addition &each : additions)
      addAtomically(place.tile.elements[static_cast<size_t>(each.element)],
                    global(frame.pointerAt(pointer, frame.constant(4 * each.column))));
  }
}

/// Whether all rows of the tile are rows of the view.
Value Lowering::holdsAllRows(const Window &window) {
  return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::sle,
                               add(window.row, i32(window.tileRows)), window.rows);
}
