#pragma once

#include "ringc/module/ModuleBackend.h"

#include <cstdint>

namespace ringc {

/// Half-split rotary embedding of heads at positions of any kind (rotary.tile), as `rope` is of
/// those of a layout.
class Rotary {
public:
  /// Of heads of so many elements, an even number. `backend` outlives it.
  Rotary(ModuleBackend &of, int64_t dimHead, double theta);

  enum class Direction : uint8_t { Forward, Inverse };

  /// Turns `heads` [b, n, h, dimHead] where they are; positions i32 [n] or [b, n]. Inverse: back,
  /// which makes of the gradient of what was turned that of what was to be.
  void turn(const Tensor &heads, const Tensor &positions, Direction direction);

private:
  /// heads [rows, h, dimHead], positions [rows].
  void turnRows(const Tensor &heads, const Tensor &positions, Direction direction);

  ModuleBackend &backend;
  SharedTensor turns, rest; ///< [1, dimHead / 2]; see rotary.tile
};

/// Positions [n] or [b, n] as [batch, n].
Tensor positionsOfEntries(const Tensor &positions, int64_t batch);

} // namespace ringc
