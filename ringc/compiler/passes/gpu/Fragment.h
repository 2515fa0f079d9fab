#pragma once

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Value.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/MathExtras.h"

#include <cstdint>

namespace ringc::gpu {

struct FragmentLayout;

/// How a block's warps share a product's result: in a grid, those of one of its rows the same m,
/// those of a column the same n. With one column a warp has whole rows, and multiplies what it has
/// computed from its registers; with several it reads less of both operands from shared memory.
struct WarpGrid {
  int64_t m = 4, n = 1;

  int64_t warps() const { return m * n; }
  int64_t mTurn() const { return 16 * m; } ///< what all warps have together of one block i
  int64_t nTurn() const { return 16 * n; } ///< and of two blocks j

  /// From the thread's first m (n) coordinate to that of an index (FragmentLayout::mOf, nOf).
  int64_t mFurther(int64_t index) const { return index / 2 * mTurn() + index % 2 * 8; }
  int64_t nFurther(int64_t index) const {
    return index / 4 * nTurn() + index / 2 % 2 * 8 + index % 2;
  }
  /// Whether some thread's coordinate of this index lies at or behind `extent`.
  bool mMayExceed(int64_t index, int64_t extent) const {
    return (index / 2 + 1) * mTurn() > extent;
  }
  bool nMayExceed(int64_t index, int64_t extent) const {
    return (index / 4 + 1) * nTurn() - 8 + index / 2 % 2 * 8 > extent;
  }
  /// How far all fragments of a tile together go along m and n: to its extents or beyond.
  int64_t reachM(const FragmentLayout &layout) const;
  int64_t reachN(const FragmentLayout &layout) const;
};

/// How the elements of a tile lie in the registers of a block's threads: the accumulator of
/// mma.m16n8 (PTX ISA, "Matrix fragments for mma.m16n8k16"). One axis of the tile is m, the other
/// n; the warps take turns of 16 of either:
///
///     m = (i * grid.m + warp % grid.m) * 16 + lane / 4 + 8 * (e / 2)
///     n = (j / 2 * grid.n + warp / grid.m) * 16 + 8 * (j % 2) + 2 * (lane % 4) + e % 2
///
/// for element e of block (i, j). Blocks with one j are neighbours, so that what depends on n is
/// needed for them alone. A tile with one column (row) keeps one number for each m (n) of its
/// thread, the same in all threads that share it.
struct FragmentLayout {
  enum class Kind : uint8_t { Matrix, AlongM, AlongN, Single };

  Kind kind = Kind::Single;
  int mAxis = 0;                    ///< of the tile
  int64_t mExtent = 1, nExtent = 1; ///< as the tile has them; the fragments may reach beyond
  int64_t mBlocks = 0, nBlocks = 0; ///< of a warp, 16 and 8 wide

  int64_t count() const {
    switch (kind) {
    case Kind::Matrix:
      return mBlocks * nBlocks * 4;
    case Kind::AlongM:
      return mBlocks * 2;
    case Kind::AlongN:
      return nBlocks * 2;
    case Kind::Single:
      return 1;
    }
    return 0;
  }
  int64_t index(int64_t i, int64_t j, int64_t e) const { return (j * mBlocks + i) * 4 + e; }

  /// Which of its thread's m (n) coordinates an element has.
  int64_t mOf(int64_t element) const {
    if (kind == Kind::AlongM)
      return element;
    return kind == Kind::Matrix ? element / 4 % mBlocks * 2 + element % 4 / 2 : 0;
  }
  int64_t nOf(int64_t element) const {
    if (kind == Kind::AlongN)
      return element;
    return kind == Kind::Matrix ? element / 4 / mBlocks * 2 + element % 2 : 0;
  }
  /// The element at these coordinates of the thread; what a broadcast reads.
  int64_t at(int64_t m, int64_t n) const {
    switch (kind) {
    case Kind::Matrix:
      return index(m / 2, n / 2, m % 2 * 2 + n % 2);
    case Kind::AlongM:
      return m;
    case Kind::AlongN:
      return n;
    case Kind::Single:
      return 0;
    }
    return 0;
  }
};

inline int64_t WarpGrid::reachM(const FragmentLayout &layout) const {
  return layout.mBlocks * mTurn();
}
inline int64_t WarpGrid::reachN(const FragmentLayout &layout) const {
  return layout.nBlocks / 2 * nTurn();
}

/// The least layout that holds what depends on both, which is part of a matrix.
inline FragmentLayout joined(const FragmentLayout &a, const FragmentLayout &b,
                             const FragmentLayout &matrix) {
  using Kind = FragmentLayout::Kind;
  if (a.kind == b.kind || b.kind == Kind::Single)
    return a;
  return a.kind == Kind::Single ? b : matrix;
}

/// The layout of a row or column as such, where it is a matrix.
inline FragmentLayout single(FragmentLayout matrix) {
  using Kind = FragmentLayout::Kind;
  matrix.kind = matrix.nExtent > 1   ? Kind::AlongN
                : matrix.mExtent > 1 ? Kind::AlongM
                                     : Kind::Single;
  return matrix;
}

/// A tile in registers.
struct Fragment {
  FragmentLayout layout;
  llvm::SmallVector<mlir::Value> elements;
};

/// i1 lies in memory as a byte.
inline mlir::Type typeInMemory(mlir::Type element) {
  return element.isInteger(1) ? mlir::IntegerType::get(element.getContext(), 8) : element;
}
inline int64_t bytesInMemory(mlir::Type element) {
  return typeInMemory(element).getIntOrFloatBitWidth() / 8;
}

/// A tile in shared memory, rows of the tile (or its columns, where rowAxis is 1) one after
/// another. The eight rows that ldmatrix reads at once lie in different banks: rows are an odd
/// number of 16-byte chunks apart, and what a thread reads of them one register and constants; or,
/// where windows are copied in rounds and have rows of whole lines, chunk c of row r lies at c ^ r
/// % 8 of its line. (cp.async writes lines: rows that begin anywhere in one take it two and a half
/// times as long.)
struct SharedTile {
  static constexpr int64_t lineBytes = 128;

  int64_t offset = 0;            ///< bytes from the start of the block's dynamic shared memory
  int64_t rows = 0, columns = 0; ///< as the tile has them
  int64_t paddedRows = 0, paddedColumns = 0; ///< zeros beyond
  int64_t elementBytes = 2;
  bool swizzled = false;
  int rowAxis = 0;   ///< of the tile: the axis that rows here count
  mlir::Value stage; ///< i32, added to offset: which of several copies; null where there is one

  int64_t chunks() const { return paddedColumns * elementBytes / 16; }
  /// Whether rows are whole lines, so that they may be swizzled.
  bool hasWholeLines() const { return paddedColumns * elementBytes % lineBytes == 0; }
  int64_t rowBytes() const { return (swizzled ? chunks() : chunks() | 1) * 16; }
  int64_t bytes() const {
    return (paddedRows * rowBytes() + lineBytes - 1) / lineBytes * lineBytes;
  }
};

} // namespace ringc::gpu
