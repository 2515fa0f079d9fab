#pragma once

#include "ringc/compiler/passes/gpu/Windows.h"

namespace ringc::gpu {

/// block.copy: windows on their way to shared memory.
class Copies : Windows {
public:
  explicit Copies(ThreadCode &ofCode) : Windows(ofCode) {}
  void lower(block::CopyOp copy);

private:
  /// Which rows of a window are read: an i32 each in shared memory, the bytes of a chunk or 0,
  /// valid where `condition` holds; all of them otherwise. No condition: always valid.
  struct RowsKept {
    int64_t offset;
    Value condition;
    bool areInside; ///< all that are read are rows of the view
  };
  Value isKept(Value row, int64_t flags);
  void copyChunks(const Window &window, const SharedTile &tile, std::optional<int64_t> flags,
                  bool areInside);
  void copyElements(const Window &window, const SharedTile &tile, mlir::TypedAttr fill,
                    std::optional<int64_t> flags);
  void copyColumn(block::CopyOp copy, const SharedTile &place);
};

} // namespace ringc::gpu
