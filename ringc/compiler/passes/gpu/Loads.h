#pragma once

#include "ringc/compiler/passes/gpu/Windows.h"

namespace ringc::gpu {

/// tile.load, block.load, block.read: what a thread has in registers of a window.
class Loads : Windows {
public:
  explicit Loads(ThreadCode &ofCode) : Windows(ofCode) {}
  LogicalResult lower(tile::LoadOp load);
  LogicalResult lower(block::LoadOp load);
  void lower(block::ReadOp read);

private:
  LogicalResult loadWindow(Value result, const Window &window, Value fill, Value where);
};

} // namespace ringc::gpu
