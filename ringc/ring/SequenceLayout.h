#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace ringc {

/// How the rows of one sequence are dealt to the `world` ranks of a ring (docs/semantics.md section
/// 2).
/// A layout is defined over the padded length; rank r keeps its rows whose position is below n.
///
///     n = 8, two ranks   contiguous   striped   striped:2   zigzag
///     rank 0             0 1 2 3      0 2 4 6   0 1 4 5     0 1 6 7
///     rank 1             4 5 6 7      1 3 5 7   2 3 6 7     2 3 4 5
struct SequenceLayout {
  enum class Kind : uint8_t { Contiguous, Striped, Zigzag };

  Kind kind = Kind::Contiguous;
  int64_t stripe = 1; ///< rows dealt at a time; one unless striped

  static constexpr SequenceLayout contiguous() { return {}; }
  static constexpr SequenceLayout striped(int64_t rows = 1) { return {Kind::Striped, rows}; }
  static constexpr SequenceLayout zigzag() { return {Kind::Zigzag, 1}; }

  bool operator==(const SequenceLayout &) const = default;
};

/// "contiguous", "striped", "striped:S" or "zigzag". Throws InputError on anything else.
SequenceLayout parseLayout(std::string_view text);
std::string nameOf(const SequenceLayout &layout);

/// Positions of a shard's rows: first + (l / block) * jump + l % block, with block >= 1. They rise
/// with l, so a run of rows is bounded by its end rows. `jump == block` means consecutive rows.
struct Positions {
  int64_t first = 0;
  int64_t block = 1;
  int64_t jump = 1;

  constexpr int64_t operator()(int64_t row) const {
    return first + row / block * jump + row % block;
  }
  bool operator==(const Positions &) const = default;
};

/// Consecutive rows of a shard.
struct RowRange {
  int64_t begin = 0;
  int64_t count = 0;

  bool operator==(const RowRange &) const = default;
};

/// Positions of some of a shard's rows, which begin with a block or lie within one.
Positions positionsOf(const Positions &shard, const RowRange &rows);

/// The least length >= n that `layout` deals evenly: a multiple of world, world * stripe or
/// 2 * world. The functions below throw InputError on a world, rank, stripe or length that cannot
/// be, and where a position would reach 2^31.
int64_t paddedLength(const SequenceLayout &layout, int world, int64_t n);

/// Rows that rank holds of a sequence of any length n; they may differ between ranks and be zero.
int64_t localLength(const SequenceLayout &layout, int rank, int world, int64_t n);

/// Positions of the rows of `rank`; a short shard's rows are a prefix of them.
Positions positions(const SequenceLayout &layout, int rank, int world, int64_t n);

/// Rows of one of `chunks` pieces that every shard's rows are cut into at the same places; short
/// shards, and all where there are more pieces than rows, have empty ones. What `positionsOf`
/// takes: a piece is some whole blocks, or a part of one. In between cuts are multiples of 2^k, as
/// far as rows are many.
RowRange chunkOfRows(const SequenceLayout &layout, int rank, int world, int64_t n, int chunk,
                     int chunks);

/// Positions of query rows: their rows in the unsharded sequence plus n_k - n_q, which may be
/// negative.
Positions queryPositions(const SequenceLayout &layout, int rank, int world, int64_t queryLength,
                         int64_t keyLength);

} // namespace ringc
