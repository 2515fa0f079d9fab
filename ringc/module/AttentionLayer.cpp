#include "ringc/module/AttentionLayer.h"

#include <array>
#include <utility>

namespace ringc {

namespace {

ForwardResults resultsOf(const AttentionLayer::Saved &saved) {
  return {saved.out, saved.lse, saved.rowMax.view(), saved.rowSum.view()};
}

} // namespace

AttentionLayer::AttentionLayer(const RingAttentionOptions &options, ModuleBackend &of)
    : asked((validate(options), options)), backend(of), norm(of),
      products(of.products(options.f32Products)) {
  if (asked.rotaryEmbed)
    rotary.emplace(backend, asked.dimHead, asked.rotaryEmbedTheta);
}

AttentionLayer::Forward AttentionLayer::forward(std::shared_ptr<const LayerCall> given,
                                                const AttentionLayerWeights &weights,
                                                const SharedTensor &tokens) {
  const ModuleCall &call = given->call;
  Saved saved{.call = std::move(given), .tokens = tokens};
  project(saved, weights, saved.call->positions);
  saved.out =
      backend.allocate(asked.dtype, std::array{call.batch, call.rows, asked.heads, asked.dimHead});
  for (SharedTensor *each : {&saved.lse, &saved.rowMax, &saved.rowSum})
    *each = backend.allocate(DType::F32, std::array{call.batch, asked.heads, call.rows});
  attentionOf(call).forward(call.whole, attentionInputs(saved), resultsOf(saved));
  return {projectBack(weights, saved.out), std::move(saved)};
}

SharedTensor AttentionLayer::decode(const AttentionLayerWeights &weights,
                                    const SharedTensor &tokens, const Tensor &positions,
                                    const Attend &attend) {
  int64_t batch = tokens.view().dim(0), rows = tokens.view().dim(1);
  Saved saved{.call = nullptr, .tokens = tokens};
  project(saved, weights, positions);
  QkvHeads heads = headsOf(batch, rows);
  SharedTensor out =
      backend.allocate(asked.dtype, std::array{batch, rows, asked.heads, asked.dimHead});
  attend(heads.queries(saved.qkv), heads.keys(saved.qkv), heads.values(saved.qkv), out);
  return projectBack(weights, out);
}

void AttentionLayer::project(Saved &saved, const AttentionLayerWeights &weights,
                             const Tensor &positions) {
  int64_t batch = saved.tokens.view().dim(0), rows = saved.tokens.view().dim(1);
  normalise(saved, weights);
  saved.qkv = backend.allocate(asked.dtype, std::array{batch * rows, asked.qkvRows()});
  products->multiply({saved.normalised}, transposed(weights.toQkv), saved.qkv);
  if (rotary)
    rotary->turn(headsOf(batch, rows).queriesAndKeys(saved.qkv), positions,
                 Rotary::Direction::Forward);
}

SharedTensor AttentionLayer::projectBack(const AttentionLayerWeights &weights,
                                         const Tensor &mixed) {
  SharedTensor projected =
      backend.allocate(asked.dtype, std::array{mixed.dim(0), mixed.dim(1), asked.dim});
  products->multiply({matrixOf(mixed)}, transposed(weights.toOut), matrixOf(projected));
  return projected;
}

SharedTensor AttentionLayer::backward(const Saved &saved, const AttentionLayerWeights &weights,
                                      const Tensor &dy, const AttentionLayerWeights &gradients) {
  const ModuleCall &call = saved.call->call;
  SharedTensor dmixed = backend.allocate(asked.dtype, saved.out.view().shape());
  products->multiply({matrixOf(dy)}, {weights.toOut}, matrixOf(dmixed));
  products->multiply(transposed(matrixOf(dy)), {matrixOf(saved.out)}, gradients.toOut);

  QkvHeads heads = headsOf(call);
  SharedTensor dqkv = backend.allocate(asked.dtype, saved.qkv.view().shape());
  attentionOf(call).backward(call.whole, attentionInputs(saved), resultsOf(saved), dmixed,
                             {heads.queries(dqkv), heads.keys(dqkv), heads.values(dqkv)});
  if (rotary)
    rotary->turn(heads.queriesAndKeys(dqkv), saved.call->positions, Rotary::Direction::Inverse);

  products->multiply(transposed(dqkv), {saved.normalised}, gradients.toQkv);
  SharedTensor dtokens = backend.allocate(asked.dtype, saved.tokens.view().shape());
  products->multiply({dqkv}, {weights.toQkv}, matrixOf(dtokens));
  if (!asked.prenorm)
    return dtokens;
  RmsNorm::Backward back =
      norm.backward(matrixOf(saved.tokens), weights.gamma, saved.factor, matrixOf(dtokens));
  backend.copy(back.dgamma, gradients.gamma);
  return back.dx.share(reshaped(back.dx, {call.batch, call.rows, asked.dim}));
}

void AttentionLayer::normalise(Saved &saved, const AttentionLayerWeights &weights) {
  Tensor rows = matrixOf(saved.tokens);
  if (!asked.prenorm) {
    saved.normalised = saved.tokens.share(rows);
    return;
  }
  RmsNorm::Forward made = norm.forward(rows, weights.gamma);
  saved.normalised = made.y;
  saved.factor = made.factor;
}

AttentionInputs AttentionLayer::attentionInputs(const Saved &saved) const {
  QkvHeads heads = headsOf(saved.call->call);
  AttentionInputs made{
      .q = heads.queries(saved.qkv), .k = heads.keys(saved.qkv), .v = heads.values(saved.qkv)};
  if (saved.call->keyMask)
    made.keyMask = saved.call->keyMask->view();
  if (saved.call->cuSeqlens)
    made.cuSeqlens = saved.call->cuSeqlens->view();
  return made;
}

ModuleAttention &AttentionLayer::attentionOf(const ModuleCall &call) {
  std::unique_ptr<ModuleAttention> &made =
      attentions[{call.ring ? call.ringSize : 0, nameOf(call.layout)}];
  if (!made) {
    AttentionOptions options = ringc::attentionOf(asked, call.ringSize);
    options.layout = call.layout;
    made = backend.attention(options,
                             call.ring ? ModuleBackend::Scope::Ring : ModuleBackend::Scope::Alone);
  }
  return *made;
}

} // namespace ringc
