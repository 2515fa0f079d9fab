#include "ringc/transformer/RingTransformer.h"

#include "ringc/attention/shared/Options.h"
#include "ringc/module/AttentionLayer.h"
#include "ringc/module/Guarded.h"
#include "ringc/support/Error.h"
#include "ringc/transformer/FeedForward.h"
#include "ringc/transformer/ParameterMemory.h"
#include "ringc/transformer/TokenEmbedding.h"
#include "ringc/transformer/TokenShard.h"

#include <array>
#include <cstring>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace ringc {

namespace {

/// Of one layer; with recompute x alone.
struct LayerSaved {
  SharedTensor x; ///< [batch, rows, dim]
  std::optional<AttentionLayer::Saved> attention;
  std::optional<FeedForward::Saved> feedForward;
};

/// What is added up over ranks in their order.
double sumOf(ModuleRanks &ranks, double own) {
  double sum = 0;
  for (const std::vector<std::byte> &bytes : ranks.gather(std::as_bytes(std::span(&own, 1)))) {
    double theirs = 0;
    std::memcpy(&theirs, bytes.data(), sizeof theirs);
    sum += theirs;
  }
  return sum;
}

std::string lookBacksOf(const RingTransformerOptions &options) {
  std::string text;
  for (const std::optional<int64_t> &each : options.maxLookbackSeqLen)
    text += (text.empty() ? "" : ", ") + (each ? std::to_string(*each) : "none");
  return text;
}

} // namespace

/// What a forward leaves for its backward.
struct RingTransformerSaved {
  TokenShard shard;
  std::vector<LayerSaved> layers;
  SharedTensor last, normalised, factor; ///< of the norm before the logits; last [rows, dim]
  SharedTensor dlogits;                  ///< of the sum of losses: 16-bit types hold that
};

class RingTransformer::Model {
public:
  Model(const RingTransformerOptions &given, std::shared_ptr<ModuleBackend> on,
        const RingTransformerWeights &weights)
      : asked((validate(given), given)), backend(std::move(on)), memory(asked, *backend),
        embedding(*backend), feedForward(asked.f32Products, *backend), norm(*backend),
        products(backend->products(asked.f32Products)) {
    for (int64_t layer = 0; layer < asked.depth; ++layer) {
      RingAttentionOptions own = ringc::attentionOf(asked, layer);
      if (!attentions.contains(own.maxLookbackSeqLen))
        attentions.try_emplace(own.maxLookbackSeqLen, own, *backend);
    }
    setWeights(weights);
  }

  const RingTransformerOptions &options() const { return asked; }
  ModuleBackend &where() { return *backend; }
  ParameterMemory &parameters() { return memory; }
  const ParameterMemory &parameters() const { return memory; }
  void changed() { ++changes; }

  void setWeights(const RingTransformerWeights &weights) {
    checkWeights(asked, weights);
    digest = 0;
    for (const auto &[name, tensor] : weights.tensors)
      digest = digest * 31 + checksum({tensor.dataAs<std::byte>(), size_t(tensor.byteCount())});
    memory.set(weights);
    changes = 0;
  }

  SharedTensor logits(const RingTransformerInputs &inputs) {
    TokenShard shard = deal(inputs, TokenPass::Logits);
    const ModuleCall &call = shard.call->call;
    SharedTensor x = streamOf(shard, nullptr);
    RmsNorm::Forward normalised = norm.forward(matrixOf(x), weight(logitsGamma()));
    SharedTensor made =
        backend->allocate(asked.dtype, std::array{call.batch, call.rows, asked.numTokens});
    products->multiply({normalised.y}, transposed(weight(logitsGamma() + 1)), matrixOf(made));
    return fromShard(*backend, call, made);
  }

  RingTransformerLoss loss(const RingTransformerInputs &inputs) {
    auto saved = std::make_shared<RingTransformerSaved>();
    saved->shard = deal(inputs, TokenPass::Loss);
    SharedTensor x = streamOf(saved->shard, &saved->layers);
    saved->last = x.share(matrixOf(x));
    RmsNorm::Forward normalised = norm.forward(saved->last, weight(logitsGamma()));
    saved->normalised = normalised.y;
    saved->factor = normalised.factor;
    saved->dlogits =
        backend->allocate(asked.dtype, std::array{saved->last.view().dim(0), asked.numTokens});
    products->multiply({saved->normalised}, transposed(weight(logitsGamma() + 1)), saved->dlogits);
    double sum = sumOf(backend->ranks(), crossEntropy(*saved));
    int64_t counted = saved->shard.counted;
    return {counted == 0 ? 0 : sum / double(counted), counted, std::move(saved)};
  }

  RingTransformerGradients backward(const RingTransformerLoss &forward) {
    if (!forward.saved)
      throw InputError("forward", "nothing", "what `loss` of this model gave");
    const RingTransformerSaved &saved = *forward.saved;
    backend->ranks().agree(Agreement().add("module", "RingTransformer, backward"));
    if (gradients.view().rank() == 0)
      gradients = memory.allocate(DType::F32);
    SharedTensor dnormalised = backend->allocate(asked.dtype, saved.last.view().shape());
    products->multiply({saved.dlogits}, {weight(logitsGamma() + 1)}, dnormalised);
    products->multiply(transposed(saved.dlogits), {saved.normalised}, gradient(logitsGamma() + 1));
    RmsNorm::Backward back =
        norm.backward(saved.last, weight(logitsGamma()), saved.factor, dnormalised);
    backend->copy(back.dgamma, gradient(logitsGamma()));
    SharedTensor dx = back.dx;
    for (int64_t layer = asked.depth - 1; layer >= 0; --layer)
      dx = layerBackward(saved, layer, dx);
    embedding.backward(saved.shard.tokens, dx, gradient(0));
    backend->ranks().sum(gradients);
    divide(saved.shard.counted);
    return {memory, gradients};
  }

private:
  /// Of a layer's first weight, and behind all layers.
  static size_t layerWeight(int64_t layer) { return 1 + size_t(layer) * 8; }
  size_t logitsGamma() const { return layerWeight(asked.depth); }
  Tensor weight(size_t index) const { return memory.matrix(index); }
  Tensor gradient(size_t index) const { return memory.places().matrix(gradients, index); }

  template <class Of> AttentionLayerWeights attentionWeights(int64_t layer, const Of &of) const {
    size_t first = layerWeight(layer);
    return {.gamma = of(first), .toQkv = of(first + 1), .toOut = of(first + 2)};
  }
  template <class Of> FeedForwardWeights feedForwardWeights(int64_t layer, const Of &of) const {
    size_t first = layerWeight(layer) + 3;
    return {.gamma = of(first),
            .in = of(first + 1),
            .inBias = of(first + 2),
            .out = of(first + 3),
            .outBias = of(first + 4)};
  }
  auto weights() const {
    return [this](size_t index) { return weight(index); };
  }
  auto toGradients() const {
    return [this](size_t index) { return gradient(index); };
  }

  TokenShard deal(const RingTransformerInputs &inputs, TokenPass pass) {
    Agreement own;
    own.add("module", pass == TokenPass::Loss ? "RingTransformer, loss" : "RingTransformer, logits")
        .add("num_tokens", asked.numTokens)
        .add("depth", asked.depth)
        .add("ff_mult", asked.ffMult)
        .add("max_lookback_seq_len", lookBacksOf(asked))
        .add("ignore_index", asked.ignoreIndex)
        .add("recompute", asked.recompute)
        .add("weights", std::to_string(digest))
        .add("steps of the weights", changes);
    return dealTokens(asked, *backend, inputs, pass, std::move(own));
  }

  /// The residual stream behind all layers: [batch, rows, dim].
  SharedTensor streamOf(const TokenShard &shard, std::vector<LayerSaved> *saved) {
    const ModuleCall &call = shard.call->call;
    SharedTensor x = embedding.forward(weight(0), shard.tokens);
    x = x.share(reshaped(x, {call.batch, call.rows, asked.dim}));
    for (int64_t layer = 0; layer < asked.depth; ++layer) {
      LayerSaved own{.x = x};
      x = layerForward(shard.call, layer, own);
      if (!saved)
        continue;
      if (asked.recompute)
        own = {.x = own.x};
      saved->push_back(std::move(own));
    }
    return x;
  }

  SharedTensor layerForward(const std::shared_ptr<const LayerCall> &call, int64_t layer,
                            LayerSaved &saved) {
    AttentionLayer::Forward attention =
        attentionOf(layer).forward(call, attentionWeights(layer, weights()), saved.x);
    addResidual(*backend, matrixOf(saved.x), matrixOf(attention.out), matrixOf(attention.out));
    saved.attention = std::move(attention.saved);
    FeedForward::Forward forward = feedForward.forward(
        feedForwardWeights(layer, weights()), attention.out.share(matrixOf(attention.out)));
    saved.feedForward = std::move(forward.saved);
    return forward.out.share(reshaped(forward.out, {call->call.batch, call->call.rows, asked.dim}));
  }

  /// dy [rows, dim] of the stream behind the layer; gives that before it.
  SharedTensor layerBackward(const RingTransformerSaved &saved, int64_t layer, const Tensor &dy) {
    LayerSaved anew;
    const LayerSaved *own = &saved.layers[size_t(layer)];
    if (!own->attention) {
      anew.x = own->x;
      (void)layerForward(saved.shard.call, layer, anew);
      own = &anew;
    }
    const ModuleCall &call = saved.shard.call->call;
    SharedTensor dx = feedForward.backward(*own->feedForward, feedForwardWeights(layer, weights()),
                                           dy, feedForwardWeights(layer, toGradients()));
    SharedTensor branch = attentionOf(layer).backward(
        *own->attention, attentionWeights(layer, weights()),
        reshaped(dx, {call.batch, call.rows, asked.dim}), attentionWeights(layer, toGradients()));
    addResidual(*backend, dx, matrixOf(branch), dx);
    return dx;
  }

  /// The sum of this rank's losses, and in place of the logits its gradient.
  double crossEntropy(const RingTransformerSaved &saved) {
    int64_t rows = saved.dlogits.view().dim(0);
    if (rows == 0)
      return 0;
    HostTensor given(DType::I32, {rows});
    std::ranges::copy(saved.shard.labels, given.dataAs<int32_t>());
    SharedTensor labels = backend->allocate(DType::I32, given.shape()),
                 losses = backend->allocate(DType::F32, given.shape()),
                 lse = backend->allocate(DType::F32, given.shape());
    backend->upload(given, labels);
    Spec spec;
    spec.kernel = "cross_entropy";
    spec.dtype = elementTypeOf(asked.dtype);
    backend->kernels().launch(
        spec, {{"logits", saved.dlogits}, {"labels", labels}, {"loss", losses}, {"lse", lse}},
        {{"ignored", asked.ignoreIndex}});
    spec.kernel = "cross_entropy_backward";
    backend->kernels().launch(
        spec,
        {{"logits", saved.dlogits}, {"labels", labels}, {"lse", lse}, {"dlogits", saved.dlogits}},
        {{"ignored", asked.ignoreIndex}, {"scale", 1.0}});
    HostTensor each(DType::F32, given.shape());
    backend->download(losses, each);
    double sum = 0;
    for (float loss : std::span(each.dataAs<float>(), size_t(rows)))
      sum += double(loss);
    return sum;
  }

  void divide(int64_t counted) {
    Spec spec;
    spec.kernel = "multiply_by";
    backend->kernels().launch(
        spec,
        {{"x", Tensor(gradients.view().data(), DType::F32,
                      {memory.places().elements() / ParameterPlaces::alignment,
                       ParameterPlaces::alignment})}},
        {{"factor", counted == 0 ? 0.0 : 1 / double(counted)}});
  }

  AttentionLayer &attentionOf(int64_t layer) {
    return attentions.at(ringc::attentionOf(asked, layer).maxLookbackSeqLen);
  }

  RingTransformerOptions asked;
  std::shared_ptr<ModuleBackend> backend;
  ParameterMemory memory;
  TokenEmbedding embedding;
  std::map<std::optional<int64_t>, AttentionLayer> attentions; ///< by look-back
  FeedForward feedForward;
  RmsNorm norm;
  std::unique_ptr<Products> products;
  SharedTensor gradients; ///< from the first backward on
  uint64_t digest = 0;
  int64_t changes = 0;
};

RingTransformer::RingTransformer(const RingTransformerOptions &options,
                                 std::shared_ptr<ModuleBackend> backend,
                                 const RingTransformerWeights &weights)
    : self(std::make_unique<Model>(options, std::move(backend), weights)) {}
RingTransformer::~RingTransformer() = default;
RingTransformer::RingTransformer(RingTransformer &&) noexcept = default;
RingTransformer &RingTransformer::operator=(RingTransformer &&) noexcept = default;

const RingTransformerOptions &RingTransformer::options() const { return self->options(); }
ModuleBackend &RingTransformer::backend() { return self->where(); }
ParameterMemory &RingTransformer::parameters() { return self->parameters(); }
void RingTransformer::changed() { self->changed(); }

void RingTransformer::setWeights(const RingTransformerWeights &weights) {
  self->setWeights(weights);
}
RingTransformerWeights RingTransformer::weights() const {
  const ParameterMemory &memory = std::as_const(*self).parameters();
  return memory.download(memory.master());
}

SharedTensor RingTransformer::logits(const RingTransformerInputs &inputs) {
  return guarded(self->where().ranks(), [&] { return self->logits(inputs); });
}
RingTransformerLoss RingTransformer::loss(const RingTransformerInputs &inputs) {
  return guarded(self->where().ranks(), [&] { return self->loss(inputs); });
}
RingTransformerGradients RingTransformer::backward(const RingTransformerLoss &forward) {
  return guarded(self->where().ranks(), [&] { return self->backward(forward); });
}

RingTransformerWeights RingTransformerGradients::download() const { return of->download(numbers); }

} // namespace ringc
