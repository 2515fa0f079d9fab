#include "ringc/module/RingAttention.h"

#include "ringc/module/AttentionLayer.h"
#include "ringc/module/Guarded.h"
#include "ringc/module/LayerCall.h"
#include "ringc/module/ModuleCall.h"
#include "ringc/module/WeightGradients.h"
#include "ringc/support/Error.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace ringc {

/// What a forward leaves for its backward.
struct RingAttentionSaved {
  AttentionLayer::Saved layer;
  std::vector<int64_t> tokensShape; ///< of the caller's
};

class RingAttention::Module {
public:
  Module(const RingAttentionOptions &given, std::shared_ptr<ModuleBackend> on,
         const RingAttentionWeights &weights)
      : asked(given), backend(std::move(on)), layer(given, *backend) {
    setWeights(weights);
  }

  const RingAttentionOptions &options() const { return asked; }
  ModuleBackend &where() { return *backend; }

  void setWeights(const RingAttentionWeights &weights) {
    checkWeights(asked, weights);
    weightsDigest = 0;
    for (const RingAttentionWeight &weight : weightsOf(asked)) {
      const HostTensor &given = weights.*weight.tensor;
      weightsDigest =
          weightsDigest * 31 + checksum({given.dataAs<std::byte>(), size_t(given.byteCount())});
    }
    auto rounded = [&](const HostTensor &from, std::initializer_list<int64_t> shape) {
      SharedTensor made = backend->allocate(asked.dtype, shape);
      backend->upload(reshaped(from, shape), made);
      return made;
    };
    if (asked.prenorm)
      gamma = rounded(weights.gamma, {1, asked.dim});
    toQkv = rounded(weights.toQkv, {asked.qkvRows(), asked.dim});
    toOut = rounded(weights.toOut, {asked.dim, asked.heads * asked.dimHead});
  }

  RingAttentionForward forward(const RingAttentionInputs &inputs) {
    const Tensor &tokens = inputs.tokens;
    if (tokens.rank() != 3 || tokens.dtype() != asked.dtype || tokens.dim(2) != asked.dim)
      throw InputError("tokens", describe(tokens),
                       std::string(nameOf(asked.dtype)) + "[b, n, " + std::to_string(asked.dim) +
                           "]");
    Agreement own;
    own.add("module", "RingAttention").add("weights", std::to_string(weightsDigest));
    ModuleCall resolved = resolve(asked, backend->ranks(), inputs, std::move(own));
    auto call = std::make_shared<const LayerCall>(
        layerCall(asked, *backend, std::move(resolved), inputs, positions));
    AttentionLayer::Forward made =
        layer.forward(call, weights(), toShard(*backend, call->call, tokens));
    SharedTensor out = fromShard(*backend, call->call, made.out);
    return {std::move(out),
            std::make_shared<RingAttentionSaved>(RingAttentionSaved{
                std::move(made.saved), {tokens.shape().begin(), tokens.shape().end()}})};
  }

  RingAttentionGradients backward(const RingAttentionForward &forward, const Tensor &dout) {
    if (!forward.saved)
      throw InputError("forward", "nothing", "what a forward of this module gave");
    const RingAttentionSaved &saved = *forward.saved;
    const ModuleCall &call = saved.layer.call->call;
    if (dout.dtype() != asked.dtype || !std::ranges::equal(dout.shape(), saved.tokensShape))
      throw InputError("dout", describe(dout),
                       describe(Tensor(nullptr, asked.dtype, saved.tokensShape)));
    backend->ranks().agree(Agreement().add("module", "RingAttention, backward"));
    WeightGradients gradients(asked, *backend);
    AttentionLayerWeights into{.gamma = {}, .toQkv = gradients.toQkv, .toOut = gradients.toOut};
    if (asked.prenorm)
      into.gamma = reshaped(gradients.gamma, {1, asked.dim});
    SharedTensor dtokens =
        layer.backward(saved.layer, weights(), toShard(*backend, call, dout), into);
    backend->ranks().sum(gradients.all);
    return {.tokens = fromShard(*backend, call, dtokens),
            .gamma = gradients.gamma,
            .toQkv = gradients.toQkv,
            .toOut = gradients.toOut};
  }

private:
  AttentionLayerWeights weights() const { return {gamma, toQkv, toOut}; }

  RingAttentionOptions asked;
  std::shared_ptr<ModuleBackend> backend;
  AttentionLayer layer;
  SharedTensor gamma, toQkv, toOut; ///< in the module's dtype
  uint64_t weightsDigest = 0;
  KeptPositions positions;
};

RingAttention::RingAttention(const RingAttentionOptions &options,
                             std::shared_ptr<ModuleBackend> backend,
                             const RingAttentionWeights &weights)
    : self(std::make_unique<Module>(options, std::move(backend), weights)) {}
RingAttention::~RingAttention() = default;
RingAttention::RingAttention(RingAttention &&) noexcept = default;
RingAttention &RingAttention::operator=(RingAttention &&) noexcept = default;

const RingAttentionOptions &RingAttention::options() const { return self->options(); }

ModuleBackend &RingAttention::backend() { return self->where(); }

void RingAttention::setWeights(const RingAttentionWeights &weights) { self->setWeights(weights); }

RingAttentionForward RingAttention::forward(const RingAttentionInputs &inputs) {
  return guarded(self->where().ranks(), [&] { return self->forward(inputs); });
}

RingAttentionGradients RingAttention::backward(const RingAttentionForward &forward,
                                               const Tensor &dout) {
  return guarded(self->where().ranks(), [&] { return self->backward(forward, dout); });
}

} // namespace ringc
