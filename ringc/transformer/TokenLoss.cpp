#include "ringc/transformer/TokenLoss.h"

#include "ringc/attention/shared/Options.h"

#include <algorithm>
#include <array>

namespace ringc {

namespace {

/// `count` rows from `row` on, or what is left of them.
Tensor piece(const Tensor &of, int64_t row, int64_t count) {
  return of.slice(0, row, std::min(count, of.dim(0) - row));
}

Spec specOf(const char *kernel, const Tensor &logits) {
  Spec spec;
  spec.kernel = kernel;
  spec.dtype = elementTypeOf(logits.dtype());
  return spec;
}

} // namespace

TokenLoss::TokenLoss(const RingTransformerOptions &options, TransformerLayers &of,
                     ModuleBackend &on)
    : asked(options), layers(of), backend(on) {}

int64_t TokenLoss::rowsAtOnce() const {
  return std::max<int64_t>(1, asked.logitsAtOnce / asked.numTokens);
}

double TokenLoss::forward(const SharedTensor &x, std::span<const int32_t> labels, Saved &saved) {
  saved.head = layers.head(x);
  auto rows = int64_t(labels.size()), most = rowsAtOnce();
  if (rows == 0)
    return 0;
  HostTensor given(DType::I32, {rows});
  std::ranges::copy(labels, given.dataAs<int32_t>());
  saved.labels = backend.allocate(DType::I32, given.shape());
  backend.upload(given, saved.labels);
  saved.lse = backend.allocate(DType::F32, given.shape());
  SharedTensor losses = backend.allocate(DType::F32, given.shape()),
               logits =
                   backend.allocate(asked.dtype, std::array{std::min(rows, most), asked.numTokens});
  for (int64_t row = 0; row < rows; row += most) {
    Tensor normalised = piece(saved.head.normalised, row, most),
           some = logits.view().slice(0, 0, normalised.dim(0));
    layers.logits(normalised, some);
    entropy(saved, row, some, piece(losses, row, most));
  }
  if (rows <= most) {
    gradient(saved, 0, logits);
    saved.dlogits = logits;
  }
  HostTensor each(DType::F32, given.shape());
  backend.download(losses, each);
  double sum = 0;
  for (float loss : std::span(each.dataAs<float>(), size_t(rows)))
    sum += double(loss);
  return sum;
}

SharedTensor TokenLoss::backward(const Saved &saved, const Tensor &gradients) {
  const Tensor &normalised = saved.head.normalised;
  Tensor dweight = layers.logitsWeightIn(gradients);
  SharedTensor dnormalised = backend.allocate(asked.dtype, normalised.shape());
  int64_t rows = normalised.dim(0), most = rowsAtOnce();
  if (rows <= most) {
    SharedTensor none = backend.allocate(asked.dtype, std::array{rows, asked.numTokens});
    layers.logitsBackward(normalised, rows == 0 ? none : saved.dlogits, dnormalised, dweight);
    return layers.headBackward(saved.head, dnormalised, gradients);
  }
  SharedTensor logits = backend.allocate(asked.dtype, std::array{most, asked.numTokens}),
               more = backend.allocate(DType::F32, dweight.shape());
  for (int64_t row = 0; row < rows; row += most) {
    Tensor some = piece(normalised, row, most), own = logits.view().slice(0, 0, some.dim(0));
    layers.logits(some, own);
    gradient(saved, row, own);
    layers.logitsBackward(some, own, piece(dnormalised, row, most),
                          row == 0 ? dweight : more.view());
    if (row > 0)
      addResidual(backend, dweight, more, dweight);
  }
  return layers.headBackward(saved.head, dnormalised, gradients);
}

void TokenLoss::entropy(const Saved &saved, int64_t row, const Tensor &logits,
                        const Tensor &losses) {
  int64_t rows = logits.dim(0);
  backend.kernels().launch(specOf("cross_entropy", logits),
                           {{"logits", logits},
                            {"labels", piece(saved.labels, row, rows)},
                            {"loss", losses},
                            {"lse", piece(saved.lse, row, rows)}},
                           {{"ignored", asked.ignoreIndex}});
}

void TokenLoss::gradient(const Saved &saved, int64_t row, const Tensor &logits) {
  int64_t rows = logits.dim(0);
  backend.kernels().launch(specOf("cross_entropy_backward", logits),
                           {{"logits", logits},
                            {"labels", piece(saved.labels, row, rows)},
                            {"lse", piece(saved.lse, row, rows)},
                            {"dlogits", logits}},
                           {{"ignored", asked.ignoreIndex}, {"scale", 1.0}});
}

} // namespace ringc
