#pragma once

#include "ringc/compiler/passes/gpu/Elementwise.h"

namespace ringc::gpu {

/// tile.apply: masks and scores at the places of a tile.
class Masks : Elementwise {
public:
  explicit Masks(ThreadCode &ofCode) : Elementwise(ofCode) {}
  LogicalResult lower(tile::ApplyOp op);

  class Applied;
  class VisibleRows;

private:
  void invertDivisors(Applied &applied);
};

} // namespace ringc::gpu
