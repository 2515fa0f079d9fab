#pragma once

#include "ringc/compiler/passes/gpu/Thread.h"

namespace ringc::gpu {

/// block.share, block.share_seen: from registers to shared memory.
class Shares : Thread {
public:
  explicit Shares(ThreadCode &ofCode) : Thread(ofCode) {}
  LogicalResult lower(block::ShareOp share);
  void lower(block::ShareSeenOp share);

private:
  void writeShared(const Fragment &fragment, const SharedTile &place);
  LogicalResult writeColumn(Value column, int64_t offset);
};

} // namespace ringc::gpu
