#pragma once

#include "ringc/compiler/passes/gpu/Thread.h"

namespace ringc::gpu {

/// Windows of views: addresses, and what of them lies inside.
class Windows : protected Thread {
protected:
  explicit Windows(ThreadCode &ofCode) : Thread(ofCode) {}

  struct Window {
    const cpu::KernelFrame::View *view;
    Value row, column;   ///< i32 offsets
    Value rows;          ///< i32 extent of the first axis
    Value columnsInside; ///< i32 extent of the second; null where all columns lie inside
    int64_t tileRows, tileColumns;
    std::optional<int64_t> named; ///< in shared memory, i32: how far from `row` each row is
  };
  /// Where the elements of a fragment lie in a window. Rows and columns that the thread has several
  /// of differ by constants, so that one address serves all columns of a row.
  struct Places {
    /// Elements that share a row of the view: a run of `elements` and `columns` side by side.
    struct Row {
      Value in, pointer; ///< of the thread's first column
      llvm::SmallVector<int64_t> elements, bytes;
      llvm::SmallVector<Value> columnIn; ///< null where it always is
    };
    llvm::SmallVector<Row> rows;
    bool pairs = false; ///< elements 2i and 2i + 1 of a row are neighbours in memory
  };

  Window windowOf(Value view, mlir::ValueRange offsets, std::array<int64_t, 2> extents,
                  Value names = {});
  Value viewRow(const Window &window, Value row);
  bool rowsAreEquallySpaced(const Window &window) const;
  Value rowPointer(const Window &window, Value row);
  Value rowInView(const Window &window, Value row);
  Value rowInside(const Window &window, Value row);
  Value columnInside(const Window &window, Value column);
  Places placesOf(const Window &window, const FragmentLayout &layout, mlir::RankedTensorType type);
  Value isAligned(const Window &window, int64_t bytes);
};

} // namespace ringc::gpu
