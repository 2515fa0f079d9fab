#pragma once

#include "ringc/compiler/spec/Spec.h"

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <string>

namespace ringc {

/// Sizes of a kernel with two loops over tiles, and the warps that share them: nWarps side by side
/// along a product's columns.
struct GpuTiles {
  int64_t q, kv, warps = 4, nWarps = 1;
};

/// What a thread and a block need for the tiles.
struct GpuNeeds {
  int64_t sums;   ///< f32 registers of a thread: accumulators, scores and their gradients
  int64_t shared; ///< bytes: the windows that stay, those that stream, and computed tiles
};

/// Blocks of 16 rows and of 16 columns of a product's result are dealt to the warps; of a block a
/// thread keeps eight numbers. Rows of shared memory are an odd number of 16-byte chunks apart, or,
/// of what streams, whole lines of 128 bytes.
class GpuModel {
public:
  explicit GpuModel(const Spec &spec)
      : d(spec.headDim), dv(spec.valueDim()), bytes(spec.dtype == ElementType::F32 ? 4 : 2),
        beyondCausal(std::ranges::any_of(
            spec.mask, [](const std::string &mask) { return mask != "causal"; })) {}

  GpuNeeds forward(GpuTiles tiles) const {
    return {.sums = sums(tiles, tiles.q, {dv, tiles.kv}),
            .shared = tiles.q * row(d) + 2 * tiles.kv * (lines(d) + lines(dv))};
  }
  GpuNeeds dkdv(GpuTiles tiles) const {
    int64_t computed = tiles.nWarps > 1 ? 2 * tiles.kv * row(tiles.q) : 0;
    return {.sums = sums(tiles, tiles.kv, {d, dv, tiles.q, tiles.q}),
            .shared = tiles.kv * (row(d) + row(dv)) + 2 * streamed(tiles.q, tiles) + computed};
  }
  GpuNeeds dq(GpuTiles tiles) const {
    int64_t computed = tiles.nWarps > 1 ? tiles.q * row(tiles.kv) : 0;
    return {.sums = sums(tiles, tiles.q, {d, tiles.kv, tiles.kv}),
            .shared = tiles.q * (row(d) + row(dv)) + 2 * streamed(tiles.kv, tiles) + computed};
  }
  /// dk and dv stay in registers; k, v, a tile of q and dout, dS (and p, where warps share rows) in
  /// shared memory, and k again, where a key may be seen by no query of a tile and yet by others.
  /// The warps share the head dim of dq, a block for each.
  GpuNeeds fused(GpuTiles tiles) const {
    int64_t wide = turns(d, mWarps(tiles, tiles.kv));
    int64_t computed = tiles.kv * row(tiles.q) * (tiles.nWarps > 1 ? 2 : 1);
    int64_t again = beyondCausal ? tiles.kv * whole(d) + 1024 : 0; // and which of them are seen
    return {.sums = sums(tiles, tiles.kv, {d, dv, tiles.q, tiles.q}),
            .shared =
                tiles.kv * (row(wide) + row(dv)) + again + streamed(tiles.q, tiles) + computed};
  }
  /// How many sums leave a thread enough of its 255 registers for operands and addresses: those of
  /// f32 are split in two.
  int64_t mostSums() const { return isF32() ? 144 : 192; }
  /// The same where dk and dv stay. More of f32 would be a little faster under a mask as well, and
  /// keep ptxas busy for longer than half a second.
  int64_t mostSumsOfKeys() const { return isF32() && !beyondCausal ? 160 : mostSums(); }
  bool isF32() const { return bytes == 4; }
  /// Whether masks need more than the order of two positions.
  bool masksBeyondCausal() const { return beyondCausal; }

private:
  /// Blocks of 16 that the warps take in turns, whole turns.
  static int64_t turns(int64_t extent, int64_t warps) {
    return (extent + 16 * warps - 1) / (16 * warps) * 16 * warps;
  }
  /// Rows of two matrices which products read along both axes.
  int64_t streamed(int64_t rows, GpuTiles tiles) const {
    return turns(rows, tiles.nWarps) *
           (lines(turns(d, tiles.nWarps)) + lines(turns(dv, tiles.nWarps)));
  }
  static int64_t mWarps(GpuTiles tiles, int64_t rows) {
    return std::clamp<int64_t>((rows + 15) / 16, 1, tiles.warps / tiles.nWarps);
  }
  static int64_t sums(GpuTiles tiles, int64_t rows, std::initializer_list<int64_t> columns) {
    int64_t turn = 16 * mWarps(tiles, rows), nTurn = 16 * tiles.nWarps, blocks = 0;
    for (int64_t each : columns)
      blocks += (each + nTurn - 1) / nTurn;
    return (rows + turn - 1) / turn * blocks * 8;
  }
  /// Bytes of a row of a window that stays, and of one that streams.
  int64_t row(int64_t columns) const { return ((columns + 15) / 16 * bytes | 1) * 16; }
  int64_t whole(int64_t columns) const { return (columns + 15) / 16 * 16 * bytes; }
  int64_t lines(int64_t columns) const {
    return whole(columns) % 128 == 0 ? whole(columns) : row(columns);
  }

  int64_t d, dv, bytes;
  bool beyondCausal;
};

} // namespace ringc
