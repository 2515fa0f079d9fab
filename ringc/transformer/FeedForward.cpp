#include "ringc/transformer/FeedForward.h"

#include "ringc/attention/shared/Options.h"
#include "ringc/module/ColumnSums.h"

#include <array>

namespace ringc {

namespace {

Spec specOf(const char *kernel, const Tensor &x) {
  Spec spec;
  spec.kernel = kernel;
  spec.dtype = elementTypeOf(x.dtype());
  return spec;
}

} // namespace

void addResidual(ModuleBackend &backend, const Tensor &x, const Tensor &branch, const Tensor &sum) {
  backend.kernels().launch(specOf("add", x), {{"x", x}, {"branch", branch}, {"sum", sum}}, {});
}

FeedForward::FeedForward(F32Products f32, ModuleBackend &of)
    : backend(of), norm(of), products(of.products(f32)) {}

FeedForward::Forward FeedForward::forward(const FeedForwardWeights &weights,
                                          const SharedTensor &x) {
  int64_t rows = x.view().dim(0);
  DType dtype = x.view().dtype();
  RmsNorm::Forward normalised = norm.forward(x, weights.gamma);
  Saved saved{.x = x, .normalised = normalised.y, .factor = normalised.factor};
  saved.hidden = backend.allocate(dtype, std::array{rows, weights.in.dim(0)});
  products->multiply({saved.normalised}, transposed(weights.in), saved.hidden);
  saved.activated = backend.allocate(dtype, saved.hidden.view().shape());
  backend.kernels().launch(specOf("bias_gelu", x),
                           {{"x", saved.hidden}, {"bias", weights.inBias}, {"y", saved.activated}},
                           {});
  SharedTensor out = backend.allocate(dtype, x.view().shape());
  products->multiply({saved.activated}, transposed(weights.out), out);
  backend.kernels().launch(specOf("add_bias", x),
                           {{"x", x}, {"branch", out}, {"bias", weights.outBias}, {"sum", out}},
                           {});
  return {std::move(out), std::move(saved)};
}

SharedTensor FeedForward::backward(const Saved &saved, const FeedForwardWeights &weights,
                                   const Tensor &dy, const FeedForwardWeights &gradients) {
  DType dtype = dy.dtype();
  columnSums(backend, dy, gradients.outBias);
  products->multiply(transposed(dy), {saved.activated}, gradients.out);
  SharedTensor dhidden = backend.allocate(dtype, saved.hidden.view().shape());
  products->multiply({dy}, {weights.out}, dhidden);
  backend.kernels().launch(
      specOf("bias_gelu_backward", dy),
      {{"x", saved.hidden}, {"bias", weights.inBias}, {"dy", dhidden}, {"dx", dhidden}}, {});
  columnSums(backend, dhidden, gradients.inBias);
  products->multiply(transposed(dhidden), {saved.normalised}, gradients.in);
  SharedTensor dnormalised = backend.allocate(dtype, saved.x.view().shape());
  products->multiply({dhidden}, {weights.in}, dnormalised);
  RmsNorm::Backward back = norm.backward(saved.x, weights.gamma, saved.factor, dnormalised);
  backend.copy(back.dgamma, gradients.gamma);
  addResidual(backend, dy, back.dx, back.dx);
  return back.dx;
}

} // namespace ringc
