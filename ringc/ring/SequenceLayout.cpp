#include "ringc/ring/SequenceLayout.h"

#include "ringc/support/Error.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <charconv>

namespace ringc {

namespace {

/// Kernels hold positions in a signed i32.
constexpr int64_t positionLimit = int64_t(1) << 31;

/// Rows of the sequence are dealt in rounds of this many.
int64_t rowsPerRound(const SequenceLayout &layout, int world) {
  if (world < 1)
    throw InputError("world", std::to_string(world), "1 or more ranks");
  if (layout.stripe < 1 || layout.stripe > positionLimit / world)
    throw InputError("stripe", std::to_string(layout.stripe),
                     "1 to " + std::to_string(positionLimit / world));
  switch (layout.kind) {
  case SequenceLayout::Kind::Contiguous:
    return world;
  case SequenceLayout::Kind::Striped:
    return world * layout.stripe;
  case SequenceLayout::Kind::Zigzag:
    return 2 * int64_t(world);
  }
  assert(false && "not a layout");
  return 0;
}

void checkRank(int rank, int world) {
  if (rank < 0 || rank >= world)
    throw InputError("rank", std::to_string(rank), "0 to " + std::to_string(world - 1));
}

} // namespace

SequenceLayout parseLayout(std::string_view text) {
  if (text == "contiguous")
    return SequenceLayout::contiguous();
  if (text == "striped")
    return SequenceLayout::striped();
  if (text == "zigzag")
    return SequenceLayout::zigzag();
  constexpr std::string_view prefix = "striped:";
  if (text.starts_with(prefix)) {
    int64_t rows = 0;
    const char *end = text.data() + text.size();
    auto [stop, error] = std::from_chars(text.data() + prefix.size(), end, rows);
    if (error == std::errc() && stop == end && rows >= 1 && rows < positionLimit)
      return SequenceLayout::striped(rows);
  }
  throw InputError("layout", text, "contiguous, striped, striped:S with S rows >= 1, zigzag");
}

std::string nameOf(const SequenceLayout &layout) {
  switch (layout.kind) {
  case SequenceLayout::Kind::Contiguous:
    return "contiguous";
  case SequenceLayout::Kind::Striped:
    return layout.stripe == 1 ? "striped" : "striped:" + std::to_string(layout.stripe);
  case SequenceLayout::Kind::Zigzag:
    return "zigzag";
  }
  assert(false && "not a layout");
  return {};
}

int64_t paddedLength(const SequenceLayout &layout, int world, int64_t n) {
  int64_t round = rowsPerRound(layout, world);
  if (n < 0 || n > positionLimit)
    throw InputError("sequence length", std::to_string(n), "0 to 2^31");
  int64_t padded = (n + round - 1) / round * round;
  if (padded > positionLimit)
    throw InputError("sequence length", std::to_string(n),
                     "at most 2^31 after padding to a multiple of " + std::to_string(round) +
                         " for layout " + nameOf(layout));
  return padded;
}

Positions positions(const SequenceLayout &layout, int rank, int world, int64_t n) {
  int64_t local = paddedLength(layout, world, n) / world;
  checkRank(rank, world);
  switch (layout.kind) {
  case SequenceLayout::Kind::Contiguous: {
    int64_t block = std::max<int64_t>(local, 1);
    return {rank * local, block, block};
  }
  case SequenceLayout::Kind::Striped:
    return {rank * layout.stripe, layout.stripe, world * layout.stripe};
  case SequenceLayout::Kind::Zigzag: {
    int64_t half = std::max<int64_t>(local / 2, 1);
    return {rank * half, half, (2 * int64_t(world) - 1 - 2 * int64_t(rank)) * half};
  }
  }
  assert(false && "not a layout");
  return {};
}

Positions positionsOf(const Positions &shard, const RowRange &rows) {
  int64_t first = shard(rows.begin);
  int64_t within = rows.begin % shard.block;
  if (within == 0)
    return {first, shard.block, shard.jump};
  assert(within + rows.count <= shard.block);
  return {first, shard.block, shard.block};
}

namespace {

/// Cuts are at multiples of this many rows, where pieces are that long: kernels have whole tiles.
constexpr int64_t rowsOfTiles = 128;

/// Where the piece begins of `length` rows, or blocks, that are cut into so many.
int64_t cutOf(int64_t length, int64_t piece, int64_t pieces, int64_t mostGrain = rowsOfTiles) {
  int64_t least = std::max<int64_t>(length / pieces, 1);
  int64_t grain = std::min(int64_t(std::bit_floor(uint64_t(least))), mostGrain);
  return piece == pieces ? length : (length * piece / pieces + grain / 2) / grain * grain;
}

/// The same of a shard with all its rows.
int64_t cutOf(const Positions &shard, int64_t length, int64_t piece, int64_t pieces) {
  int64_t blocks = length / shard.block;
  if (pieces <= blocks)
    return cutOf(blocks, piece, pieces, std::max<int64_t>(rowsOfTiles / shard.block, 1)) *
           shard.block;
  if (piece == pieces)
    return length;
  // Of as many pieces a block, or one more in the first.
  int64_t each = pieces / blocks, more = pieces % blocks;
  int64_t inFirst = more * (each + 1);
  if (piece < inFirst)
    return piece / (each + 1) * shard.block + cutOf(shard.block, piece % (each + 1), each + 1);
  int64_t rest = piece - inFirst;
  return (more + rest / each) * shard.block + cutOf(shard.block, rest % each, each);
}

} // namespace

RowRange chunkOfRows(const SequenceLayout &layout, int rank, int world, int64_t n, int chunk,
                     int chunks) {
  if (chunk < 0 || chunk >= chunks)
    throw InputError("chunk", std::to_string(chunk), "0 to " + std::to_string(chunks - 1));
  int64_t rows = localLength(layout, rank, world, n);
  int64_t length = paddedLength(layout, world, n) / world;
  if (length == 0)
    return {};
  Positions shard = positions(layout, rank, world, n);
  int64_t begin = std::min(cutOf(shard, length, chunk, chunks), rows),
          end = std::min(cutOf(shard, length, chunk + 1, chunks), rows);
  return {begin, end - begin};
}

Positions queryPositions(const SequenceLayout &layout, int rank, int world, int64_t queryLength,
                         int64_t keyLength) {
  (void)paddedLength(layout, world, keyLength);
  Positions result = positions(layout, rank, world, queryLength);
  result.first += keyLength - queryLength;
  return result;
}

int64_t localLength(const SequenceLayout &layout, int rank, int world, int64_t n) {
  Positions at = positions(layout, rank, world, n);
  int64_t local = paddedLength(layout, world, n) / world;
  // Whole blocks below n, then the valid rows of the block that n cuts.
  int64_t blocks = local / at.block;
  int64_t whole = n < at.first + at.block ? 0 : (n - at.first - at.block) / at.jump + 1;
  if (whole >= blocks)
    return local;
  int64_t cut = std::clamp<int64_t>(n - (at.first + whole * at.jump), 0, at.block);
  return whole * at.block + cut;
}

} // namespace ringc
