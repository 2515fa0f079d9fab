#include "ringc/ring/SequenceLayout.h"

#include "ringc/support/Error.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
#include <vector>

using namespace ringc;

namespace {

const std::vector<SequenceLayout> layouts = {
    SequenceLayout::contiguous(), SequenceLayout::zigzag(),   SequenceLayout::striped(),
    SequenceLayout::striped(2),   SequenceLayout::striped(3), SequenceLayout::striped(8)};

/// docs/semantics.md section 2, literally; n is the padded length of one shard.
int64_t formula(const SequenceLayout &layout, int64_t r, int64_t P, int64_t n, int64_t l) {
  int64_t s = layout.stripe;
  switch (layout.kind) {
  case SequenceLayout::Kind::Contiguous:
    return r * n + l;
  case SequenceLayout::Kind::Striped:
    return (l / s) * (P * s) + r * s + l % s;
  case SequenceLayout::Kind::Zigzag:
    return l < n / 2 ? r * (n / 2) + l : (2 * P - 1 - r) * (n / 2) + l - n / 2;
  }
  return -1;
}

} // namespace

TEST_CASE("positions follow the layout's formula, rise, and cover the sequence once") {
  for (const SequenceLayout &layout : layouts) {
    for (int world = 1; world <= 8; ++world) {
      for (int64_t n = 0; n <= 70; ++n) {
        CAPTURE(nameOf(layout));
        CAPTURE(world);
        CAPTURE(n);
        int64_t padded = paddedLength(layout, world, n);
        REQUIRE(padded >= n);
        REQUIRE(padded % world == 0);
        std::vector<int64_t> seen;
        for (int rank = 0; rank < world; ++rank) {
          Positions at = positions(layout, rank, world, n);
          REQUIRE(at.block >= 1);
          REQUIRE(at.jump >= 1);
          int64_t valid = 0;
          for (int64_t row = 0; row < padded / world; ++row) {
            REQUIRE(at(row) == formula(layout, rank, world, padded / world, row));
            REQUIRE((row == 0 || at(row) > at(row - 1)));
            valid += at(row) < n;
          }
          int64_t rows = localLength(layout, rank, world, n);
          REQUIRE(rows == valid); // a prefix, since positions rise
          for (int64_t row = 0; row < rows; ++row)
            seen.push_back(at(row));
        }
        std::ranges::sort(seen);
        std::vector<int64_t> all(static_cast<size_t>(n));
        std::iota(all.begin(), all.end(), 0);
        REQUIRE(seen == all);
      }
    }
  }
}

TEST_CASE("the table of SequenceLayout's comment") {
  auto rows = [](const SequenceLayout &layout, int rank) {
    Positions at = positions(layout, rank, 2, 8);
    return std::vector<int64_t>{at(0), at(1), at(2), at(3)};
  };
  using Rows = std::vector<int64_t>;
  CHECK(rows(SequenceLayout::contiguous(), 1) == Rows{4, 5, 6, 7});
  CHECK(rows(SequenceLayout::striped(), 1) == Rows{1, 3, 5, 7});
  CHECK(rows(SequenceLayout::striped(2), 0) == Rows{0, 1, 4, 5});
  CHECK(rows(SequenceLayout::zigzag(), 0) == Rows{0, 1, 6, 7});
  CHECK(rows(SequenceLayout::zigzag(), 1) == Rows{2, 3, 4, 5});
}

TEST_CASE("queries of another length end where the keys end") {
  for (auto [queries, keys] : {std::pair<int64_t, int64_t>{5, 12}, {12, 5}, {7, 7}}) {
    for (const SequenceLayout &layout : layouts) {
      for (int rank = 0; rank < 3; ++rank) {
        Positions own = positions(layout, rank, 3, queries);
        Positions moved = queryPositions(layout, rank, 3, queries, keys);
        CHECK(moved(0) == own(0) + keys - queries);
        CHECK(moved.block == own.block);
        CHECK(moved.jump == own.jump);
      }
    }
  }
  CHECK(queryPositions(SequenceLayout::contiguous(), 0, 2, 12, 5).first == -7);
}

TEST_CASE("layout names, both ways") {
  for (const SequenceLayout &layout : layouts)
    CHECK(parseLayout(nameOf(layout)) == layout);
  CHECK(parseLayout("striped:1") == SequenceLayout::striped());
  for (const char *text :
       {"", "stripe", "striped:", "striped:0", "striped:-1", "striped:2x", "striped: 2", "zigzag:2",
        "Contiguous", "striped:9999999999999999999", "striped:2147483648"})
    CHECK_THROWS_AS(parseLayout(text), InputError);
  CHECK_THROWS_WITH_AS(
      parseLayout("spiral"),
      "layout: got spiral, allowed: contiguous, striped, striped:S with S rows >= 1, zigzag",
      InputError);
}

TEST_CASE("positions stay below 2^31") {
  constexpr int64_t limit = int64_t(1) << 31;
  for (const SequenceLayout &layout : layouts) {
    CHECK_THROWS_AS(paddedLength(layout, 4, limit + 1), InputError);
    CHECK_THROWS_AS(queryPositions(layout, 0, 4, 8, limit + 1), InputError);
  }
  CHECK(paddedLength(SequenceLayout::contiguous(), 4, limit) == limit);
  Positions last = positions(SequenceLayout::striped(), 7, 8, limit);
  CHECK(last(localLength(SequenceLayout::striped(), 7, 8, limit) - 1) == limit - 1);
  CHECK_THROWS_AS(paddedLength(SequenceLayout::contiguous(), 3, limit), InputError); // padded
  CHECK_THROWS_AS(paddedLength(SequenceLayout::striped(limit / 2), 4, 1), InputError);
  CHECK_THROWS_AS(paddedLength(SequenceLayout::striped(INT64_MAX), 4, 1), InputError);
}

TEST_CASE("ranks, worlds and lengths that cannot be") {
  CHECK_THROWS_AS(positions(SequenceLayout::contiguous(), 4, 4, 8), InputError);
  CHECK_THROWS_AS(positions(SequenceLayout::contiguous(), -1, 4, 8), InputError);
  CHECK_THROWS_AS(paddedLength(SequenceLayout::contiguous(), 0, 8), InputError);
  CHECK_THROWS_AS(paddedLength(SequenceLayout::contiguous(), 4, -1), InputError);
  CHECK_THROWS_AS(paddedLength(SequenceLayout::striped(0), 4, 8), InputError);
}

TEST_CASE("chunks of shards lie side by side, have positions, and the same places on all ranks") {
  for (const SequenceLayout &layout : layouts)
    for (int world : {1, 2, 3, 5})
      for (int64_t n : {0, 1, 7, 23, 24, 48, 100, 1000, 4099})
        for (int chunks : {1, 2, 3, 4, 5, 8, 64})
          for (int rank = 0; rank < world; ++rank) {
            CAPTURE(nameOf(layout));
            CAPTURE(world);
            CAPTURE(n);
            CAPTURE(chunks);
            Positions shard = positions(layout, rank, world, n);
            int64_t next = 0;
            for (int chunk = 0; chunk < chunks; ++chunk) {
              RowRange rows = chunkOfRows(layout, rank, world, n, chunk, chunks);
              REQUIRE(rows.begin == next);
              REQUIRE(rows.count >= 0);
              next += rows.count;
              Positions at = positionsOf(shard, rows);
              for (int64_t row = 0; row < rows.count; ++row)
                REQUIRE(at(row) == shard(rows.begin + row));
              RowRange first = chunkOfRows(layout, 0, world, n, chunk, chunks);
              if (rows.count > 0 && first.count > 0) // else they end before it
                REQUIRE(rows.begin == first.begin);
            }
            REQUIRE(next == localLength(layout, rank, world, n));
          }
  auto begins = [](const SequenceLayout &layout, int64_t n, int chunks) {
    std::vector<int64_t> made;
    for (int chunk = 0; chunk < chunks; ++chunk)
      made.push_back(chunkOfRows(layout, 0, 2, n, chunk, chunks).begin);
    return made;
  };
  using Begins = std::vector<int64_t>;
  CHECK(begins(SequenceLayout::contiguous(), 2000, 4) == Begins{0, 256, 512, 768});
  CHECK(begins(SequenceLayout::zigzag(), 2000, 2) == Begins{0, 500});
  CHECK(begins(SequenceLayout::zigzag(), 2000, 3) == Begins{0, 256, 500});
  CHECK(begins(SequenceLayout::striped(100), 2000, 4) == Begins{0, 200, 500, 700});
  CHECK_THROWS_AS(chunkOfRows(SequenceLayout::zigzag(), 0, 2, 8, 2, 2), InputError);
}
