#pragma once

#include "ringc/Tensor.h"
#include "ringc/comm/Transport.h"

#include <cstdint>
#include <vector>

namespace ringc {

/// Out f32 [b, n_q, h, d_v] of a decode's queries.
struct DecodeShape {
  int64_t batch, queries, heads, valueHeadDim;
};

/// What each rank has made of its own keys, out and lse in one piece: one message, and one axis of
/// what decode_merge takes, in which they lie by rank.
class RankParts {
public:
  RankParts(int world, const DecodeShape &shape);

  /// Of all pieces, which begin at multiples of it from a first one that does.
  static constexpr int64_t alignment = 256;
  int64_t bytes() const { return ranks * distance; }

  /// In memory of so many bytes: f32 [ranks, b, n_q, h, d_v] and [ranks, b, h, n_q].
  Tensor parts(void *memory) const;
  Tensor logs(void *memory) const;

  /// A rank's piece to all others, and theirs to it. None where there are no queries.
  Exchange exchange(void *memory, int rank) const;

private:
  int64_t ranks;
  DecodeShape of;
  int64_t rows, pieceBytes, distance; ///< rows of out; bytes
};

} // namespace ringc
