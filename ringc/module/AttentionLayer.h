#pragma once

#include "ringc/module/LayerCall.h"
#include "ringc/module/ModuleBackend.h"
#include "ringc/module/QkvHeads.h"
#include "ringc/module/RingAttentionOptions.h"
#include "ringc/module/RmsNorm.h"
#include "ringc/module/Rotary.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace ringc {

/// Of a layer, in the backend's memory: weights in the module's type, or their gradients in f32.
struct AttentionLayerWeights {
  Tensor gamma; ///< [1, dim]; without prenorm nothing
  Tensor toQkv; ///< [(heads + 2 kv heads) * dim_head, dim]
  Tensor toOut; ///< [dim, heads * dim_head]
};

/// What RingAttention does between the deals: RMSNorm, projection to queries, keys and values,
/// rotary embedding, attention and projection, of the rows of a rank's shard. Weights are given
/// with each call, so that the layers of a model share it where their options are the same.
class AttentionLayer {
public:
  /// `backend` outlives it. Throws InputError for options that cannot be.
  AttentionLayer(const RingAttentionOptions &options, ModuleBackend &backend);

  /// What a forward leaves for its backward.
  struct Saved {
    std::shared_ptr<const LayerCall> call;
    SharedTensor tokens;             ///< [batch, rows, dim], without gaps
    SharedTensor normalised, factor; ///< of RMSNorm; without it normalised is the tokens
    SharedTensor qkv;                ///< [batch * rows, heads q | k | v], q and k turned
    SharedTensor out, lse, rowMax, rowSum;
  };
  struct Forward {
    SharedTensor out; ///< [batch, rows, dim]
    Saved saved;
  };

  Forward forward(std::shared_ptr<const LayerCall> call, const AttentionLayerWeights &weights,
                  const SharedTensor &tokens);

  /// dy [batch, rows, dim] without gaps. Writes the gradients of the weights, of this rank's rows;
  /// gives that of the tokens.
  SharedTensor backward(const Saved &saved, const AttentionLayerWeights &weights, const Tensor &dy,
                        const AttentionLayerWeights &gradients);

  /// Attends with q [b, n, heads, dim_head] to what is kept of earlier rows and to k, v
  /// [b, n, kv heads, dim_head] of these; writes out, as q.
  using Attend =
      std::function<void(const Tensor &q, const Tensor &k, const Tensor &v, const Tensor &out)>;
  /// Of a few new rows, the same on every rank: tokens [b, n, dim] at positions i32 [b, n]; gives
  /// [b, n, dim].
  SharedTensor decode(const AttentionLayerWeights &weights, const SharedTensor &tokens,
                      const Tensor &positions, const Attend &attend);

  /// Queries, keys and values of a call: [batch, rows, heads, dimHead].
  QkvHeads headsOf(const ModuleCall &call) const { return headsOf(call.batch, call.rows); }

private:
  QkvHeads headsOf(int64_t batch, int64_t rows) const {
    return {batch, rows, asked.heads, asked.kvHeads(), asked.dimHead};
  }
  /// From tokens to queries, keys and values.
  void project(Saved &saved, const AttentionLayerWeights &weights, const Tensor &positions);
  SharedTensor projectBack(const AttentionLayerWeights &weights, const Tensor &mixed);
  void normalise(Saved &saved, const AttentionLayerWeights &weights);
  AttentionInputs attentionInputs(const Saved &saved) const;
  ModuleAttention &attentionOf(const ModuleCall &call);

  RingAttentionOptions asked;
  ModuleBackend &backend;
  RmsNorm norm;
  std::unique_ptr<Products> products;
  std::optional<Rotary> rotary;
  /// By ring size, 0 is alone, and layout.
  std::map<std::pair<int, std::string>, std::unique_ptr<ModuleAttention>> attentions;
};

} // namespace ringc
