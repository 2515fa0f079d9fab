#pragma once

#include "ringc/module/AttentionLayer.h"
#include "ringc/transformer/FeedForward.h"
#include "ringc/transformer/ParameterMemory.h"
#include "ringc/transformer/RingTransformerOptions.h"
#include "ringc/transformer/TokenEmbedding.h"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>

namespace ringc {

/// The parts of a transformer on one rank, with its weights: what goes from tokens to logits, by
/// rows, and back.
class TransformerLayers {
public:
  /// `backend` outlives it. `options` are valid.
  TransformerLayers(const RingTransformerOptions &options, ModuleBackend &backend);

  ParameterMemory &parameters() { return memory; }
  const ParameterMemory &parameters() const { return memory; }

  /// tokens: rows of [batch, rows, dim].
  SharedTensor embed(std::span<const int32_t> tokens, int64_t batch, int64_t rows);

  /// What a layer leaves for its backward; with recompute x alone.
  struct LayerSaved {
    SharedTensor x; ///< [batch, rows, dim]
    std::optional<AttentionLayer::Saved> attention;
    std::optional<FeedForward::Saved> feedForward;
  };
  struct LayerForward {
    SharedTensor x; ///< the stream behind the layer, [batch, rows, dim]
    LayerSaved saved;
  };
  LayerForward forward(const std::shared_ptr<const LayerCall> &call, int64_t layer,
                       const SharedTensor &x);
  /// dy [rows, dim] of the stream behind the layer; gives that before it.
  SharedTensor backward(const LayerSaved &saved, const std::shared_ptr<const LayerCall> &call,
                        int64_t layer, const Tensor &dy, const Tensor &gradients);

  /// A layer of few new rows, whose attention is somebody else's: `attend`
  /// (AttentionLayer::decode).
  SharedTensor decode(int64_t layer, const SharedTensor &x, const Tensor &positions,
                      const AttentionLayer::Attend &attend);

  /// The norm of the stream behind all layers, before the logits.
  struct Head {
    SharedTensor x, normalised, factor; ///< [rows, dim]; f32 [rows]
  };
  Head head(const SharedTensor &x);
  /// Writes those of some rows, [rows, num_tokens], normalised [rows, dim].
  void logits(const Tensor &normalised, const Tensor &made);
  /// Of the same rows: writes their dnormalised, and the gradient of the product's weight.
  void logitsBackward(const Tensor &normalised, const Tensor &dlogits, const Tensor &dnormalised,
                      const Tensor &dweight);
  /// Gives the gradient of the stream, [rows, dim].
  SharedTensor headBackward(const Head &saved, const Tensor &dnormalised, const Tensor &gradients);
  /// f32 [num_tokens, dim] in `gradients`.
  Tensor logitsWeightIn(const Tensor &gradients) const {
    return memory.places().matrix(gradients, logitsGamma() + 1);
  }

  void embeddingBackward(std::span<const int32_t> tokens, const Tensor &dx,
                         const Tensor &gradients);

private:
  /// Of a layer's first weight, and behind all layers.
  static size_t layerWeight(int64_t layer) { return 1 + size_t(layer) * 8; }
  size_t logitsGamma() const { return layerWeight(asked.depth); }
  AttentionLayer &attentionOf(int64_t layer);
  SharedTensor branches(int64_t layer, const SharedTensor &x, const SharedTensor &attention,
                        LayerSaved *saved);

  RingTransformerOptions asked;
  ModuleBackend &backend;
  ParameterMemory memory;
  TokenEmbedding embedding;
  std::map<std::optional<int64_t>, AttentionLayer> attentions; ///< by look-back
  FeedForward feedForward;
  RmsNorm norm;
  std::unique_ptr<Products> products;
};

} // namespace ringc
