#pragma once

#include "ringc/compiler/passes/gpu/Windows.h"

namespace ringc::gpu {

/// block.store, block.store_shared: tiles on their way to windows of views.
class Stores : Windows {
public:
  explicit Stores(ThreadCode &ofCode) : Windows(ofCode) {}
  LogicalResult lower(block::StoreOp store);
  void lower(block::StoreSharedOp store);

private:
  void storeRegisters(block::StoreOp store, const Window &window, const Fragment &tile);
  void storeChunks(block::StoreSharedOp store, const Window &window, const SharedTile &tile,
                   int64_t bytes);
  void storeElements(block::StoreSharedOp store, const Window &window, const SharedTile &tile);
};

} // namespace ringc::gpu
