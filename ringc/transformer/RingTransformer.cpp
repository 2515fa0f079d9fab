#include "ringc/transformer/RingTransformer.h"

#include "ringc/attention/shared/Options.h"
#include "ringc/module/Guarded.h"
#include "ringc/support/Error.h"
#include "ringc/transformer/ParameterMemory.h"
#include "ringc/transformer/TokenLoss.h"
#include "ringc/transformer/TokenShard.h"
#include "ringc/transformer/TransformerLayers.h"

#include <array>
#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace ringc {

namespace {

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
  std::vector<TransformerLayers::LayerSaved> layers;
  TokenLoss::Saved loss;
};

class RingTransformer::Model {
public:
  Model(const RingTransformerOptions &given, std::shared_ptr<ModuleBackend> on,
        const RingTransformerWeights &weights)
      : asked((validate(given), given)), backend(std::move(on)), parts(asked, *backend),
        entropy(asked, parts, *backend) {
    setWeights(weights);
  }

  const RingTransformerOptions &options() const { return asked; }
  ModuleBackend &where() { return *backend; }
  TransformerLayers &layers() { return parts; }
  const TransformerLayers &layers() const { return parts; }
  void changed() { ++changes; }

  void setWeights(const RingTransformerWeights &weights) {
    checkWeights(asked, weights);
    digest = 0;
    for (const auto &[name, tensor] : weights.tensors)
      digest = digest * 31 + checksum({tensor.dataAs<std::byte>(), size_t(tensor.byteCount())});
    parts.parameters().set(weights);
    changes = 0;
  }

  SharedTensor logits(const RingTransformerInputs &inputs) {
    TokenShard shard = deal(inputs, TokenPass::Logits);
    const ModuleCall &call = shard.call->call;
    TransformerLayers::Head head = parts.head(streamOf(shard, nullptr));
    SharedTensor made =
        backend->allocate(asked.dtype, std::array{call.batch, call.rows, asked.numTokens});
    parts.logits(head.normalised, matrixOf(made));
    return fromShard(*backend, call, made);
  }

  RingTransformerLoss loss(const RingTransformerInputs &inputs) {
    auto saved = std::make_shared<RingTransformerSaved>();
    saved->shard = deal(inputs, TokenPass::Loss);
    SharedTensor x = streamOf(saved->shard, &saved->layers);
    double sum = sumOf(backend->ranks(), entropy.forward(x, saved->shard.labels, saved->loss));
    int64_t counted = saved->shard.counted;
    return {counted == 0 ? 0 : sum / double(counted), counted, std::move(saved)};
  }

  RingTransformerGradients backward(const RingTransformerLoss &forward) {
    if (!forward.saved)
      throw InputError("forward", "nothing", "what `loss` of this model gave");
    const RingTransformerSaved &saved = *forward.saved;
    backend->ranks().agree(Agreement().add("module", "RingTransformer, backward"));
    if (gradients.view().rank() == 0)
      gradients = parts.parameters().allocate(DType::F32);
    SharedTensor dx = entropy.backward(saved.loss, gradients);
    for (int64_t layer = asked.depth - 1; layer >= 0; --layer)
      dx = parts.backward(saved.layers[size_t(layer)], saved.shard.call, layer, dx, gradients);
    parts.embeddingBackward(saved.shard.tokens, dx, gradients);
    backend->ranks().sum(gradients);
    divide(saved.shard.counted);
    return {parts.parameters(), gradients};
  }

private:
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
    return dealTokens(asked, *backend, inputs, pass, std::move(own), positions);
  }

  /// The residual stream behind all layers: [batch, rows, dim].
  SharedTensor streamOf(const TokenShard &shard,
                        std::vector<TransformerLayers::LayerSaved> *saved) {
    const ModuleCall &call = shard.call->call;
    SharedTensor x = parts.embed(shard.tokens, call.batch, call.rows);
    for (int64_t layer = 0; layer < asked.depth; ++layer) {
      TransformerLayers::LayerForward forward = parts.forward(shard.call, layer, x);
      if (saved && asked.recompute)
        forward.saved = {.x = x};
      if (saved)
        saved->push_back(std::move(forward.saved));
      x = forward.x;
    }
    return x;
  }

  void divide(int64_t counted) {
    Spec spec;
    spec.kernel = "multiply_by";
    backend->kernels().launch(
        spec,
        {{"x", Tensor(gradients.view().data(), DType::F32,
                      {parts.parameters().places().elements() / ParameterPlaces::alignment,
                       ParameterPlaces::alignment})}},
        {{"factor", counted == 0 ? 0.0 : 1 / double(counted)}});
  }

  RingTransformerOptions asked;
  std::shared_ptr<ModuleBackend> backend;
  TransformerLayers parts;
  TokenLoss entropy;
  KeptPositions positions;
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
ParameterMemory &RingTransformer::parameters() { return self->layers().parameters(); }
TransformerLayers &RingTransformer::layers() { return self->layers(); }
void RingTransformer::changed() { self->changed(); }

void RingTransformer::setWeights(const RingTransformerWeights &weights) {
  self->setWeights(weights);
}
RingTransformerWeights RingTransformer::weights() const {
  const ParameterMemory &memory = std::as_const(*self).layers().parameters();
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
