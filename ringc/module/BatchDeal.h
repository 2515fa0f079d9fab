#pragma once

#include "ringc/ring/SequenceLayout.h"
#include "ringc/ring/SubRings.h"

#include <cstdint>
#include <vector>

namespace ringc {

/// Two ways to deal the same sequences to the ranks of a world, and what goes from one to the
/// other. By batch: rank r has `batches[r]` whole entries, which follow those of rank r - 1. By
/// sequence: a ring has consecutive entries (batchOfRing), of which each of its ranks has the rows
/// of its place.
///
///     batches 2, 0, 1, 1, rings of two      by batch      by sequence
///     rank 0                                0, 1 whole    0, 1: first rows
///     rank 1                                              0, 1: other rows
///     rank 2                                2 whole       2, 3: first rows
///     rank 3                                3 whole       2, 3: other rows
///
/// Lengths that do not divide are dealt unevenly, so that nothing is padded.
struct BatchDeal {
  std::vector<int64_t> batches; ///< of each rank
  int64_t length = 0;           ///< rows of each entry
  SubRings rings;
  SequenceLayout layout;

  bool operator==(const BatchDeal &) const = default;

  /// Of all ranks.
  int64_t batch() const;
  BatchRange entriesOfRank(int rank) const;
  BatchRange entriesOfRing(int ring) const;
  /// By sequence, what `rank` has.
  BatchRange shardEntries(int rank) const { return entriesOfRing(rings.ringOf(rank)); }
  int64_t shardRows(int rank) const;
  /// Entries that `owner` has by batch and `holder` rows of by sequence.
  BatchRange shared(int owner, int holder) const;
};

} // namespace ringc
