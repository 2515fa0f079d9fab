#include "ringc/attention/shared/PassWork.h"

#include <algorithm>
#include <cstdint>

namespace ringc {

double visiblePairs(const AttentionOptions &options, const AttentionShape &shape) {
  int64_t queries = shape.queryLength, keys = shape.keyLength;
  if (options.window == Window{})
    return double(queries) * double(keys) * (options.causal ? 0.5 : 1.0);
  double pairs = 0;
  auto [left, right] = options.window;
  for (int64_t query = 0; query < queries; ++query) {
    int64_t at = query + keys - queries, first = 0, last = keys - 1;
    if (left >= 0)
      first = std::max(first, at - left);
    if (options.causal)
      last = std::min(last, at);
    if (right >= 0)
      last = std::min(last, at + right);
    pairs += double(std::max<int64_t>(0, last - first + 1));
  }
  return pairs;
}

RooflineWork passWork(const AttentionOptions &options, const AttentionShape &shape, Pass pass) {
  double pairs = double(shape.batch * options.heads) * visiblePairs(options, shape);
  double d = double(options.headDim), dv = double(options.valueHeadDim);
  double queries = double(shape.batch * shape.queryLength * options.heads),
         keys = double(shape.batch * shape.keyLength * options.kvHeads);
  double elements = queries * (d + dv) + keys * (d + dv); // q, out; k, v
  bool backward = pass == Pass::Backward;
  if (backward)
    elements += queries * (dv + d) + keys * (d + dv); // dout, dq; dk, dv
  constexpr double lseBytes = 4;
  return {.flops = 2 * pairs * (backward ? 3 * d + 2 * dv : d + dv),
          .bytes = elements * double(sizeOf(options.dtype)) + queries * lseBytes};
}

} // namespace ringc
