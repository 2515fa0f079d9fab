#include "ringc/transformer/TokenEmbedding.h"

#include "ringc/attention/shared/Options.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <vector>

namespace ringc {

namespace {

/// Lists of rows, one behind the other: those of list s are rows[first[s]], .. up to first[s + 1].
struct RowLists {
  std::vector<int32_t> rows;
  std::vector<int32_t> first = {0};
};

/// The rows of each token.
RowLists rowsOfTokens(std::span<const int32_t> tokens, int64_t count) {
  RowLists made{.rows = std::vector<int32_t>(tokens.size()),
                .first = std::vector<int32_t>(size_t(count) + 1)};
  for (int32_t token : tokens)
    ++made.first[size_t(token) + 1];
  std::partial_sum(made.first.begin(), made.first.end(), made.first.begin());
  std::vector<int32_t> next = made.first;
  for (size_t row = 0; row < tokens.size(); ++row)
    made.rows[size_t(next[size_t(tokens[row])]++)] = int32_t(row);
  return made;
}

} // namespace

SharedTensor TokenEmbedding::listOf(std::span<const int32_t> numbers) {
  HostTensor list(DType::I32, {std::max<int64_t>(1, int64_t(numbers.size()))});
  std::ranges::copy(numbers, list.dataAs<int32_t>());
  SharedTensor made = backend.allocate(DType::I32, list.shape());
  backend.upload(list, made);
  return made;
}

SharedTensor TokenEmbedding::forward(const Tensor &table, std::span<const int32_t> tokens) {
  SharedTensor x =
      backend.allocate(table.dtype(), std::array{int64_t(tokens.size()), table.dim(1)});
  if (tokens.empty())
    return x;
  Spec spec;
  spec.kernel = "embedding";
  spec.dtype = elementTypeOf(table.dtype());
  backend.kernels().launch(spec, {{"table", table}, {"ids", listOf(tokens)}, {"x", x}}, {});
  return x;
}

void TokenEmbedding::sumsOfRows(const Tensor &x, std::span<const int32_t> order,
                                std::span<const int32_t> first, const Tensor &sums) {
  Spec spec;
  spec.kernel = "sums_of_rows";
  spec.dtype = elementTypeOf(x.dtype());
  SharedTensor rows = listOf(order), starts = listOf(first);
  backend.kernels().launch(spec, {{"x", x}, {"order", rows}, {"first", starts}, {"sums", sums}},
                           {});
}

void TokenEmbedding::backward(std::span<const int32_t> tokens, const Tensor &dx,
                              const Tensor &gradient) {
  // A token may be most of a text: no program sums more rows than a piece, nor more pieces.
  constexpr int32_t piece = 256;
  RowLists ofTokens = rowsOfTokens(tokens, gradient.dim(0));
  RowLists ofPieces;
  std::vector<int32_t> cuts = {0};
  for (size_t token = 0; token + 1 < ofTokens.first.size(); ++token) {
    int32_t end = ofTokens.first[token + 1];
    for (int32_t at = ofTokens.first[token]; at < end; at += piece)
      cuts.push_back(std::min(at + piece, end));
    ofPieces.first.push_back(int32_t(cuts.size()) - 1);
  }
  ofPieces.rows.resize(cuts.size() - 1);
  std::iota(ofPieces.rows.begin(), ofPieces.rows.end(), 0);
  SharedTensor sums = backend.allocate(
      DType::F32, std::array{std::max<int64_t>(1, int64_t(cuts.size()) - 1), dx.dim(1)});
  if (!tokens.empty())
    sumsOfRows(dx, ofTokens.rows, cuts, sums);
  sumsOfRows(sums, ofPieces.rows, ofPieces.first, gradient);
}

} // namespace ringc
