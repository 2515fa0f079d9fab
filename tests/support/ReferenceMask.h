#pragma once

#include <cstdint>
#include <functional>
#include <vector>

namespace ringc::reference {

/// Which keys a query sees, said the long way: every pair is asked about on its own. `i` and `j`
/// are global token positions; a query's is its row plus n_k - n_q.
struct Mask {
  bool causal = false;
  int64_t prefix = 0;       ///< keys below it are exempt from `causal`
  int64_t windowLeft = -1;  ///< i - windowLeft <= j; -1: unbounded
  int64_t windowRight = -1; ///< j <= i + windowRight; -1: unbounded

  std::vector<uint8_t> keyMask = {};   ///< [b, n_k], non-zero is visible; empty: all
  std::vector<int32_t> cuSeqlens = {}; ///< 0 .. n_k rising; empty: one document

  /// The user's; empty: all.
  std::function<bool(int b, int h, int64_t i, int64_t j)> predicate = {};
};

bool visible(const Mask &mask, int64_t keyCount, int b, int h, int64_t i, int64_t j);

} // namespace ringc::reference
