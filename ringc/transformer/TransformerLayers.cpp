#include "ringc/transformer/TransformerLayers.h"

#include <utility>

namespace ringc {

namespace {

/// Of a layer, by the numbers of weights: those that products take, or their gradients.
template <class Of> AttentionLayerWeights attentionWeights(size_t first, const Of &of) {
  return {.gamma = of(first), .toQkv = of(first + 1), .toOut = of(first + 2)};
}
template <class Of> FeedForwardWeights feedForwardWeights(size_t first, const Of &of) {
  return {.gamma = of(first + 3),
          .in = of(first + 4),
          .inBias = of(first + 5),
          .out = of(first + 6),
          .outBias = of(first + 7)};
}

auto weightsIn(const ParameterMemory &memory) {
  return [&memory](size_t index) { return memory.matrix(index); };
}
auto gradientsIn(const ParameterMemory &memory, const Tensor &gradients) {
  return [&memory, &gradients](size_t index) { return memory.places().matrix(gradients, index); };
}

SharedTensor asRows(const SharedTensor &x) { return x.share(matrixOf(x)); }

} // namespace

TransformerLayers::TransformerLayers(const RingTransformerOptions &options, ModuleBackend &of)
    : asked(options), backend(of), memory(asked, of), embedding(of),
      feedForward(asked.f32Products, of), norm(of), products(of.products(asked.f32Products)) {
  for (int64_t layer = 0; layer < asked.depth; ++layer) {
    RingAttentionOptions own = ringc::attentionOf(asked, layer);
    if (!attentions.contains(own.maxLookbackSeqLen))
      attentions.try_emplace(own.maxLookbackSeqLen, own, backend);
  }
}

SharedTensor TransformerLayers::embed(std::span<const int32_t> tokens, int64_t batch,
                                      int64_t rows) {
  SharedTensor x = embedding.forward(memory.matrix(0), tokens);
  return x.share(reshaped(x, {batch, rows, asked.dim}));
}

TransformerLayers::LayerForward
TransformerLayers::forward(const std::shared_ptr<const LayerCall> &call, int64_t layer,
                           const SharedTensor &x) {
  LayerForward made{.x = {}, .saved = {.x = x}};
  AttentionLayer::Forward attention =
      attentionOf(layer).forward(call, attentionWeights(layerWeight(layer), weightsIn(memory)), x);
  made.saved.attention = std::move(attention.saved);
  made.x = branches(layer, x, attention.out, &made.saved);
  return made;
}

SharedTensor TransformerLayers::decode(int64_t layer, const SharedTensor &x,
                                       const Tensor &positions,
                                       const AttentionLayer::Attend &attend) {
  SharedTensor attention = attentionOf(layer).decode(
      attentionWeights(layerWeight(layer), weightsIn(memory)), x, positions, attend);
  return branches(layer, x, attention, nullptr);
}

/// Adds attention's branch to x, where it lies, and then the feed-forward's.
SharedTensor TransformerLayers::branches(int64_t layer, const SharedTensor &x,
                                         const SharedTensor &attention, LayerSaved *saved) {
  addResidual(backend, matrixOf(x), matrixOf(attention), matrixOf(attention));
  FeedForward::Forward forward = feedForward.forward(
      feedForwardWeights(layerWeight(layer), weightsIn(memory)), asRows(attention));
  if (saved)
    saved->feedForward = std::move(forward.saved);
  const Tensor &shape = x;
  return forward.out.share(reshaped(forward.out, {shape.dim(0), shape.dim(1), shape.dim(2)}));
}

SharedTensor TransformerLayers::backward(const LayerSaved &saved,
                                         const std::shared_ptr<const LayerCall> &call,
                                         int64_t layer, const Tensor &dy, const Tensor &gradients) {
  if (!saved.attention)
    return backward(forward(call, layer, saved.x).saved, call, layer, dy, gradients);
  size_t first = layerWeight(layer);
  auto weight = weightsIn(memory);
  auto gradient = gradientsIn(memory, gradients);
  SharedTensor dx = feedForward.backward(*saved.feedForward, feedForwardWeights(first, weight), dy,
                                         feedForwardWeights(first, gradient));
  const Tensor &shape = saved.x;
  SharedTensor branch = attentionOf(layer).backward(
      *saved.attention, attentionWeights(first, weight),
      reshaped(dx, {shape.dim(0), shape.dim(1), shape.dim(2)}), attentionWeights(first, gradient));
  addResidual(backend, dx, matrixOf(branch), dx);
  return dx;
}

TransformerLayers::Head TransformerLayers::head(const SharedTensor &x) {
  Head made{.x = asRows(x), .normalised = {}, .factor = {}};
  RmsNorm::Forward normalised = norm.forward(made.x, memory.matrix(logitsGamma()));
  made.normalised = normalised.y;
  made.factor = normalised.factor;
  return made;
}

void TransformerLayers::logits(const Tensor &normalised, const Tensor &made) {
  products->multiply({normalised}, transposed(memory.matrix(logitsGamma() + 1)), made);
}

void TransformerLayers::logitsBackward(const Tensor &normalised, const Tensor &dlogits,
                                       const Tensor &dnormalised, const Tensor &dweight) {
  products->multiply({dlogits}, {memory.matrix(logitsGamma() + 1)}, dnormalised);
  products->multiply(transposed(dlogits), {normalised}, dweight);
}

SharedTensor TransformerLayers::headBackward(const Head &saved, const Tensor &dnormalised,
                                             const Tensor &gradients) {
  RmsNorm::Backward back =
      norm.backward(saved.x, memory.matrix(logitsGamma()), saved.factor, dnormalised);
  backend.copy(back.dgamma, memory.places().matrix(gradients, logitsGamma()));
  return back.dx;
}

void TransformerLayers::embeddingBackward(std::span<const int32_t> tokens, const Tensor &dx,
                                          const Tensor &gradients) {
  embedding.backward(tokens, dx, memory.places().matrix(gradients, 0));
}

AttentionLayer &TransformerLayers::attentionOf(int64_t layer) {
  return attentions.at(ringc::attentionOf(asked, layer).maxLookbackSeqLen);
}

} // namespace ringc
