#pragma once

#include "ringc/Tensor.h"

#include <cstdint>

namespace ringc {

/// Heads in rows of queries, keys and values [batch * rows, (heads + 2 kvHeads) * dimHead], and in
/// their gradients: views [batch, rows, heads, dimHead].
struct QkvHeads {
  int64_t batch, rows, heads, kvHeads, dimHead;

  Tensor queries(const Tensor &qkv) const { return some(qkv, 0, heads); }
  Tensor keys(const Tensor &qkv) const { return some(qkv, heads, kvHeads); }
  Tensor values(const Tensor &qkv) const { return some(qkv, heads + kvHeads, kvHeads); }
  /// Those that rotary embeddings turn.
  Tensor queriesAndKeys(const Tensor &qkv) const { return some(qkv, 0, heads + kvHeads); }

private:
  Tensor some(const Tensor &qkv, int64_t first, int64_t count) const {
    return Tensor(qkv.data(), qkv.dtype(), {batch, rows, heads + 2 * kvHeads, dimHead})
        .slice(2, first, count);
  }
};

} // namespace ringc
