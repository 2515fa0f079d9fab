#pragma once

#include <cstdint>

namespace ringc {

/// A world of `world` ranks holds world / ringSize rings: ranks 0 .. ringSize - 1 are ring 0, and
/// so on. The sequence is dealt to the ranks of a ring, the batch to the rings. Everything that
/// depends on positions uses the place in the ring, never the world rank.
struct SubRings {
  int world = 1;
  int ringSize = 1;

  /// Throws InputError unless world >= 1 and ringSize is one of its divisors.
  void check() const;

  int rings() const { return world / ringSize; }
  int ringOf(int rank) const { return rank / ringSize; }
  int placeOf(int rank) const { return rank % ringSize; }
  int rankAt(int ring, int place) const { return ring * ringSize + place; }
  bool operator==(const SubRings &) const = default;
};

/// Consecutive batch entries.
struct BatchRange {
  int64_t begin = 0;
  int64_t count = 0;
};

/// The batch entries of one ring: as even as can be, the first rings one more; none for a ring
/// beyond a small batch.
BatchRange batchOfRing(int64_t batch, int rings, int ring);

} // namespace ringc
