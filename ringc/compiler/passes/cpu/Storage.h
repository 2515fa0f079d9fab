#pragma once

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Value.h"

#include <algorithm>
#include <vector>

namespace ringc::cpu {

/// How a tile lies in memory.
///
/// Plain: element (outer, lane) at outer * stride + lane, where the lane axis is axis `lane` of the
/// tile and `stride` is its extent rounded up to whole vectors. Paired: two outer rows are
/// interleaved, (outer, lane) at ((outer / 2) * stride + lane) * 2 + outer % 2; the 16-bit products
/// take their operands two at a time along the contracted axis. Padding lanes and the missing half
/// of a last pair are zero.
struct Format {
  int lane = 1;
  bool paired = false;
  bool operator==(const Format &) const = default;
};

struct Buffer {
  int64_t offset = -1; ///< in bytes from the start of scratch, or of what `carried` points to
  mlir::Value carried; ///< a program's carry (or scratch in its place); null for scratch itself
  Format format;
  mlir::Type element; ///< f32, bf16, i32 or i8
  int64_t outer = 1, lanes = 1, stride = 1;
  int64_t rowsToFill = 1; ///< in memory there are as many rows as are a multiple of this

  bool sameMemory(const Buffer &other) const {
    return offset == other.offset && carried == other.carried;
  }
  int64_t elementBytes() const { return element.getIntOrFloatBitWidth() / 8; }
  /// With those behind the last.
  int64_t rows() const {
    int64_t step = format.paired ? std::max<int64_t>(2, rowsToFill) : rowsToFill;
    return (outer + step - 1) / step * step;
  }
  /// Whether there is memory behind the rows that a product reads as zeros.
  bool hasZeroRows() const { return elementBytes() == 2 && rows() != outer; }
  int64_t bytes() const { return (rows() * stride * elementBytes() + 63) / 64 * 64; }
};

/// Scratch memory of a program, laid out while it is compiled. Blocks are given out in the order of
/// execution; a block is free again once its last phase has passed.
class ScratchAllocator {
  struct Block {
    int64_t offset, bytes;
    int lastPhase;
  };

public:
  static constexpr int forever = 1 << 30;

  /// Memory for `bytes`, 64-byte aligned, live in the phases [phase, lastPhase].
  int64_t allocate(int64_t bytes, int phase, int lastPhase) {
    bytes = (bytes + 63) / 64 * 64;
    Block *best = nullptr;
    for (Block &block : blocks)
      if (block.lastPhase < phase && block.bytes >= bytes && (!best || block.bytes < best->bytes))
        best = &block;
    if (best) {
      best->lastPhase = lastPhase;
      return best->offset;
    }
    blocks.push_back({top, bytes, lastPhase});
    top += bytes;
    highWater = std::max(highWater, top);
    return blocks.back().offset;
  }

  /// The block at `offset` is needed until `lastPhase`.
  void extend(int64_t offset, int lastPhase) {
    for (Block &block : blocks)
      if (block.offset == offset)
        block.lastPhase = std::max(block.lastPhase, lastPhase);
  }

  /// Phases inside a nested region count anew, above everything that is live outside.
  class Nested {
  public:
    explicit Nested(ScratchAllocator &outside) : allocator(outside), top(outside.top) {
      outer.swap(allocator.blocks);
    }
    ~Nested() {
      allocator.blocks.swap(outer);
      allocator.top = top;
    }

  private:
    ScratchAllocator &allocator;
    int64_t top;
    std::vector<Block> outer;
  };

  int64_t bytesNeeded() const { return highWater; }

private:
  std::vector<Block> blocks;
  int64_t top = 0, highWater = 0;
};

} // namespace ringc::cpu
