#pragma once

#include "ringc/attention/Attention.h"
#include "tests/support/ReferenceAttention.h"

#include <array>
#include <cstdint>

namespace ringc::cli {

/// Of one result against double precision.
struct DecodeError {
  double ours = 0;
  double bar = 0; ///< what it may be (Bars)
};
/// Of out and lse.
using DecodeErrors = std::array<DecodeError, 2>;

/// What double precision, and an eager implementation, make of entries, each by itself.
class DecodeExpected {
public:
  static constexpr std::array<const char *, 2> names = {"out", "lse"};

  DecodeExpected(const AttentionOptions &options, int64_t queries);

  /// The next entry: q [1, n_q, h, d], k [1, n, h_kv, d], v [1, n, h_kv, d_v].
  void add(const reference::Problem &entry);

  /// Of results of all that were added: out [b, n_q, h, d_v], lse [b, h, n_q]. Several threads may
  /// call it.
  DecodeErrors errorsOf(const Tensor &out, const Tensor &lse) const;

private:
  AttentionOptions of;
  reference::Result exact, plain; ///< `plain` of 16 bit alone
  double rows = 0;                ///< independentRows of all entries
};

} // namespace ringc::cli
