#include "ringc/module/RingAttention.h"

#include "ringc/attention/shared/Extents.h"
#include "ringc/module/ModuleCall.h"
#include "ringc/module/QkvHeads.h"
#include "ringc/module/RmsNorm.h"
#include "ringc/module/Rotary.h"
#include "ringc/module/WeightGradients.h"
#include "ringc/support/Error.h"

#include <algorithm>
#include <array>
#include <exception>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace ringc {

/// What a forward leaves for its backward, all of this rank's shard.
struct RingAttentionSaved {
  ModuleCall call;
  std::vector<int64_t> tokensShape; ///< of the caller's
  SharedTensor tokens;              ///< [batch, rows, dim], without gaps
  SharedTensor normalised, factor;  ///< of RMSNorm; without it normalised is the tokens
  SharedTensor qkv;                 ///< [batch * rows, heads q | k | v], q and k turned
  SharedTensor out, lse, rowMax, rowSum;
  std::optional<SharedTensor> keyMask, cuSeqlens;
  SharedTensor positions; ///< with rotaryEmbed
};

namespace {

/// Without gaps: the same elements in another shape.
Tensor reshaped(const Tensor &tensor, std::initializer_list<int64_t> shape) {
  return Tensor(tensor.data(), tensor.dtype(), shape);
}

/// [b, n, ...] as rows.
Tensor matrixOf(const Tensor &tensor) {
  int64_t rows = tensor.dim(0) * tensor.dim(1), columns = 1;
  for (int axis = 2; axis < tensor.rank(); ++axis)
    columns *= tensor.dim(axis);
  return reshaped(tensor, {rows, columns});
}

} // namespace

class RingAttention::Module {
public:
  Module(const RingAttentionOptions &given, std::shared_ptr<ModuleBackend> on,
         const RingAttentionWeights &weights)
      : asked((validate(given), given)), backend(std::move(on)), norm(*backend),
        products(backend->products(asked.f32Products)) {
    if (asked.rotaryEmbed)
      rotary.emplace(*backend, asked.dimHead, asked.rotaryEmbedTheta);
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
    toOut = rounded(weights.toOut, {asked.dim, inner()});
  }

  RingAttentionForward forward(const RingAttentionInputs &inputs) {
    auto saved = std::make_shared<RingAttentionSaved>();
    saved->call = resolve(asked, backend->ranks(), inputs, weightsDigest);
    const ModuleCall &call = saved->call;
    saved->tokensShape.assign(inputs.tokens.shape().begin(), inputs.tokens.shape().end());
    saved->tokens = toShard(call, inputs.tokens);
    takeInputs(*saved, inputs);
    normalise(*saved);
    int64_t rows = call.batch * call.rows;
    saved->qkv = backend->allocate(asked.dtype, std::array{rows, asked.qkvRows()});
    products->multiply({saved->normalised}, transposed(toQkv), saved->qkv);
    if (rotary)
      rotary->turn(headsOf(call).queriesAndKeys(saved->qkv), saved->positions,
                   Rotary::Direction::Forward);

    saved->out = backend->allocate(asked.dtype,
                                   std::array{call.batch, call.rows, asked.heads, asked.dimHead});
    for (SharedTensor *each : {&saved->lse, &saved->rowMax, &saved->rowSum})
      *each = backend->allocate(DType::F32, std::array{call.batch, asked.heads, call.rows});
    attentionOf(call).forward(call.whole, attentionInputs(*saved), attentionResults(*saved));

    SharedTensor projected =
        backend->allocate(asked.dtype, std::array{call.batch, call.rows, asked.dim});
    products->multiply({matrixOf(saved->out)}, transposed(toOut), matrixOf(projected));
    return {fromShard(call, projected), std::move(saved)};
  }

  RingAttentionGradients backward(const RingAttentionForward &forward, const Tensor &dout) {
    if (!forward.saved)
      throw InputError("forward", "nothing", "what a forward of this module gave");
    const RingAttentionSaved &saved = *forward.saved;
    const ModuleCall &call = saved.call;
    if (dout.dtype() != asked.dtype || !std::ranges::equal(dout.shape(), saved.tokensShape))
      throw InputError("dout", describe(dout),
                       describe(Tensor(nullptr, asked.dtype, saved.tokensShape)));
    backend->ranks().agree(Agreement().add("module", "RingAttention, backward"));
    WeightGradients weights(asked, *backend);

    SharedTensor dy = toShard(call, dout);
    SharedTensor dmixed = backend->allocate(asked.dtype, saved.out.view().shape());
    products->multiply({matrixOf(dy)}, {toOut}, matrixOf(dmixed));
    products->multiply(transposed(matrixOf(dy)), {matrixOf(saved.out)}, weights.toOut);

    QkvHeads heads = headsOf(call);
    SharedTensor dqkv = backend->allocate(asked.dtype, saved.qkv.view().shape());
    attentionOf(call).backward(call.whole, attentionInputs(saved), attentionResults(saved), dmixed,
                               {heads.queries(dqkv), heads.keys(dqkv), heads.values(dqkv)});
    if (rotary)
      rotary->turn(heads.queriesAndKeys(dqkv), saved.positions, Rotary::Direction::Inverse);

    products->multiply(transposed(dqkv), {saved.normalised}, weights.toQkv);
    SharedTensor dtokens = backend->allocate(asked.dtype, saved.tokens.view().shape());
    products->multiply({dqkv}, {toQkv}, matrixOf(dtokens));
    if (asked.prenorm) {
      RmsNorm::Backward back =
          norm.backward(matrixOf(saved.tokens), gamma, saved.factor, matrixOf(dtokens));
      backend->copy(back.dgamma, reshaped(weights.gamma, {1, asked.dim}));
      dtokens = back.dx.share(reshaped(back.dx, {call.batch, call.rows, asked.dim}));
    }
    backend->ranks().sum(weights.all);
    return {.tokens = fromShard(call, dtokens),
            .gamma = weights.gamma,
            .toQkv = weights.toQkv,
            .toOut = weights.toOut};
  }

  /// Tells the other ranks why this one will not take part, unless all know.
  template <typename Pass> auto guarded(Pass &&pass) {
    try {
      return pass();
    } catch (const DisagreementError &) {
      throw;
    } catch (const std::exception &error) {
      backend->ranks().abort(error.what());
      throw;
    }
  }

private:
  int64_t inner() const { return asked.heads * asked.dimHead; }

  /// `tensor` by sequence, without gaps.
  SharedTensor toShard(const ModuleCall &call, const Tensor &tensor) {
    if (call.deal)
      return backend->ranks().autoShard(tensor, *call.deal);
    if (tensor.isContiguous())
      return SharedTensor(tensor);
    SharedTensor dense = backend->allocate(tensor.dtype(), tensor.shape());
    backend->copy(tensor, dense);
    return dense;
  }
  /// As the caller deals its tokens.
  SharedTensor fromShard(const ModuleCall &call, const SharedTensor &shard) {
    return call.deal ? backend->ranks().gatherSharded(shard, *call.deal) : shard;
  }

  void takeInputs(RingAttentionSaved &saved, const RingAttentionInputs &inputs) {
    if (inputs.keyMask)
      saved.keyMask = toShard(saved.call, *inputs.keyMask);
    if (inputs.cuSeqlens)
      saved.cuSeqlens = HostTensor::copyOf(*inputs.cuSeqlens);
    if (!rotary)
      return;
    if (inputs.positions) {
      saved.positions = toShard(saved.call, ofEntries(*inputs.positions, inputs.tokens.dim(0)));
      return;
    }
    HostTensor made = rotaryPositions(saved.call, inputs.cuSeqlens);
    saved.positions = backend->allocate(DType::I32, made.shape());
    backend->upload(made, saved.positions);
  }

  /// Positions [n] as each entry's.
  static Tensor ofEntries(const Tensor &positions, int64_t batch) {
    if (positions.rank() == 2)
      return positions;
    return Tensor(positions.data(), positions.dtype(), std::array{batch, positions.dim(0)},
                  std::array{int64_t(0), positions.stride(0)});
  }

  void normalise(RingAttentionSaved &saved) {
    Tensor rows = matrixOf(saved.tokens);
    if (!asked.prenorm) {
      saved.normalised = saved.tokens.share(rows);
      return;
    }
    RmsNorm::Forward made = norm.forward(rows, gamma);
    saved.normalised = made.y;
    saved.factor = made.factor;
  }

  QkvHeads headsOf(const ModuleCall &call) const {
    return {call.batch, call.rows, asked.heads, asked.kvHeads(), asked.dimHead};
  }

  AttentionInputs attentionInputs(const RingAttentionSaved &saved) const {
    QkvHeads heads = headsOf(saved.call);
    AttentionInputs made{
        .q = heads.queries(saved.qkv), .k = heads.keys(saved.qkv), .v = heads.values(saved.qkv)};
    if (saved.keyMask)
      made.keyMask = saved.keyMask->view();
    if (saved.cuSeqlens)
      made.cuSeqlens = saved.cuSeqlens->view();
    return made;
  }
  static ForwardResults attentionResults(const RingAttentionSaved &saved) {
    return {saved.out, saved.lse, saved.rowMax.view(), saved.rowSum.view()};
  }

  /// Kept by ring size; 0 is this rank alone.
  ModuleAttention &attentionOf(const ModuleCall &call) {
    std::unique_ptr<ModuleAttention> &made = attentions[call.ring ? call.ringSize : 0];
    if (!made)
      made =
          backend->attention(ringc::attentionOf(asked, call.ringSize),
                             call.ring ? ModuleBackend::Scope::Ring : ModuleBackend::Scope::Alone);
    return *made;
  }

  RingAttentionOptions asked;
  std::shared_ptr<ModuleBackend> backend;
  RmsNorm norm;
  std::unique_ptr<Products> products;
  std::optional<Rotary> rotary;
  SharedTensor gamma, toQkv, toOut; ///< in the module's dtype
  uint64_t weightsDigest = 0;
  std::map<int, std::unique_ptr<ModuleAttention>> attentions;
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
  return self->guarded([&] { return self->forward(inputs); });
}

RingAttentionGradients RingAttention::backward(const RingAttentionForward &forward,
                                               const Tensor &dout) {
  return self->guarded([&] { return self->backward(forward, dout); });
}

} // namespace ringc
