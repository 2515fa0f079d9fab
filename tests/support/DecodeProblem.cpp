#include "tests/support/DecodeProblem.h"

#include <algorithm>
#include <utility>

namespace ringc::test {

namespace {

cli::DecodeCase completed(cli::DecodeCase given, uint64_t seed) {
  AttentionOptions &of = given.options.attention;
  if (of.kvHeads == 0)
    of.kvHeads = of.heads;
  if (of.valueHeadDim == 0)
    of.valueHeadDim = of.headDim;
  given.seed = seed;
  if (given.cuts.empty()) {
    given.cuts = cli::evenCuts(given.rows, std::max(given.ranks - 1, 1));
    if (given.ranks > 1)
      given.cuts.push_back(given.rows);
  }
  return given;
}

} // namespace

HostTensor integers(const std::vector<int64_t> &values, std::vector<int64_t> shape) {
  HostTensor made(DType::I32, std::move(shape));
  std::ranges::transform(values, made.dataAs<int32_t>(),
                         [](int64_t value) { return int32_t(value); });
  return made;
}

DecodeProblem::DecodeProblem(cli::DecodeCase given, uint64_t seed)
    : of(completed(std::move(given), seed)), check(of) {
  for (int rank = 0; rank < of.ranks; ++rank)
    shares.push_back(check.shareOf(rank));
}

HostTensor DecodeProblem::newOut() const {
  const AttentionOptions &options = of.options.attention;
  return {options.dtype, {of.batch(), of.queries, options.heads, options.valueHeadDim}};
}
HostTensor DecodeProblem::newLse() const {
  return {DType::F32, {of.batch(), of.options.attention.heads, of.queries}};
}

bool DecodeProblem::isRight(const Tensor &out, const Tensor &lse) const {
  return std::ranges::all_of(check.errorsOf(out, lse),
                             [](const cli::DecodeError &each) { return each.ours <= each.bar; });
}

} // namespace ringc::test
