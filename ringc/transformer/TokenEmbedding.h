#pragma once

#include "ringc/module/ModuleBackend.h"

#include <cstdint>
#include <span>

namespace ringc {

/// Rows of a table for tokens (embedding.tile). The gradient of the table has the same bits every
/// time: the rows of each token are summed in their order.
class TokenEmbedding {
public:
  /// `backend` outlives it.
  explicit TokenEmbedding(ModuleBackend &of) : backend(of) {}

  /// table [num_tokens, dim]; gives [tokens, dim].
  SharedTensor forward(const Tensor &table, std::span<const int32_t> tokens);

  /// dx [tokens, dim]; writes all of `gradient`, f32 [num_tokens, dim]. `tokens` are rows of it.
  void backward(std::span<const int32_t> tokens, const Tensor &dx, const Tensor &gradient);

private:
  SharedTensor listOf(std::span<const int32_t> numbers);
  /// sums[s] of the rows order[first[s]] .. of x.
  void sumsOfRows(const Tensor &x, std::span<const int32_t> order, std::span<const int32_t> first,
                  const Tensor &sums);

  ModuleBackend &backend;
};

} // namespace ringc
