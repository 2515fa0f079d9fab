#pragma once

#include "ringc/module/ModuleBackend.h"
#include "ringc/module/ModuleCall.h"

#include <initializer_list>
#include <optional>

namespace ringc {

/// One call as the layers of a rank see it, with what goes by rows of its shard.
struct LayerCall {
  ModuleCall call;
  std::optional<SharedTensor> keyMask = {};   ///< [batch, rows]
  std::optional<SharedTensor> cuSeqlens = {}; ///< of the host
  SharedTensor positions = {};                ///< with rotaryEmbed: i32 [batch, rows]
};

/// The positions of the rows of a shard, kept for the next call, which mostly has the same: making
/// them waits for a device.
struct KeptPositions {
  int64_t batch = -1, rows = -1;
  Positions at = {};
  SharedTensor made = {};
};

/// Deals to the shard what `inputs` has besides tokens.
LayerCall layerCall(const RingAttentionOptions &options, ModuleBackend &backend, ModuleCall call,
                    const RingAttentionInputs &inputs, KeptPositions &kept);

/// `tensor` [b, n, ...] as the caller has it by sequence, without gaps: [batch, rows, ...].
SharedTensor toShard(ModuleBackend &backend, const ModuleCall &call, const Tensor &tensor);
/// As the caller deals its tokens.
SharedTensor fromShard(ModuleBackend &backend, const ModuleCall &call, const SharedTensor &shard);

/// Without gaps: [b, n, ...] as rows.
Tensor matrixOf(const Tensor &tensor);
/// Without gaps: the same elements in another shape.
Tensor reshaped(const Tensor &tensor, std::initializer_list<int64_t> shape);

} // namespace ringc
