#include "tools/ringc/DecodeExpected.h"

#include "tools/ringc/Accuracy.h"
#include "tools/ringc/RandomProblem.h"

#include <optional>

namespace ringc::cli {

using reference::Array;

namespace {

void append(const Array &one, Array &to) {
  to.data.insert(to.data.end(), one.data.begin(), one.data.end());
  to.shape[0] += one.shape[0];
}

void append(const reference::Result &one, reference::Result &to) {
  append(one.out, to.out);
  append(one.lse, to.lse);
}

} // namespace

DecodeExpected::DecodeExpected(const AttentionOptions &options, int64_t queries) : of(options) {
  exact.out = plain.out = Array({0, queries, of.heads, of.valueHeadDim});
  exact.lse = plain.lse = Array({0, of.heads, queries, 1});
}

void DecodeExpected::add(const reference::Problem &entry) {
  append(reference::attention(entry), exact);
  if (of.dtype != DType::F32)
    append(reference::plainAttention(entry, of.dtype), plain);
  rows += independentRows(of, 1, entry.q.shape[1], entry.k.shape[1]);
}

DecodeErrors DecodeExpected::errorsOf(const Tensor &out, const Tensor &lse) const {
  reference::Problem shapes; // gradients' alone matter to the measure
  shapes.q = shapes.k = Array({1, 1, 1, 1});
  ErrorMeasure measure(shapes, exact);
  reference::Result result;
  result.out = reference::arrayOf(out);
  result.lse = reference::arrayOf(lse);
  Results ours(result), eager(plain);
  Bars bars{of.dtype, of.f32Products, std::nullopt};
  DecodeErrors errors;
  for (size_t tensor = 0; tensor < errors.size(); ++tensor)
    errors[tensor] = {measure.whole(ours, tensor),
                      of.dtype == DType::F32 ? bars.ofF32()
                                             : bars.against(measure.whole(eager, tensor), rows)};
  return errors;
}

} // namespace ringc::cli
