#include "ringc/ring/SubRings.h"

#include "ringc/support/Error.h"

#include <doctest/doctest.h>

using namespace ringc;

TEST_CASE("the ring size divides the world") {
  CHECK_NOTHROW(SubRings{8, 4}.check());
  CHECK_NOTHROW(SubRings{1, 1}.check());
  CHECK_THROWS_WITH_AS((SubRings{8, 3}.check()),
                       "ring size: got 3, allowed: a divisor of the world, 8", InputError);
  CHECK_THROWS_AS((SubRings{8, 0}.check()), InputError);
  CHECK_THROWS_AS((SubRings{4, 8}.check()), InputError);
  CHECK_THROWS_AS((SubRings{0, 1}.check()), InputError);
}

TEST_CASE("rank, ring and place") {
  SubRings rings{8, 4};
  for (int rank = 0; rank < 8; ++rank)
    CHECK(rings.rankAt(rings.ringOf(rank), rings.placeOf(rank)) == rank);
  CHECK(rings.rings() == 2);
  CHECK(rings.ringOf(5) == 1);
  CHECK(rings.placeOf(5) == 1);
}

TEST_CASE("the batch is dealt whole, evenly, in order") {
  for (int64_t batch = 0; batch <= 9; ++batch) {
    for (int rings = 1; rings <= 5; ++rings) {
      int64_t next = 0;
      for (int ring = 0; ring < rings; ++ring) {
        BatchRange range = batchOfRing(batch, rings, ring);
        CHECK(range.begin == next);
        CHECK(range.count >= batch / rings);
        CHECK(range.count <= (batch + rings - 1) / rings);
        next += range.count;
      }
      CHECK(next == batch);
    }
  }
  CHECK(batchOfRing(2, 4, 3).count == 0);
  CHECK_THROWS_AS(batchOfRing(2, 4, 4), InputError);
  CHECK_THROWS_AS(batchOfRing(-1, 4, 0), InputError);
}
