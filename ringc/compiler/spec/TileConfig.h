#pragma once

#include "ringc/compiler/spec/Spec.h"
#include "ringc/compiler/spec/Target.h"

#include <cstdint>
#include <map>
#include <string>

namespace ringc {

/// What was decided: sizes that change speed, never results.
struct TileConfig {
  std::map<std::string, int64_t> tile; ///< "q" is the constant BQ; absent: the source's default
  int64_t microRows = 4;               ///< rows of a product's register block
  int64_t microVectors = 2;            ///< vectors in a row of it
  int64_t microDepth = 0; ///< terms of a 16-bit product's sum at a time, at most (ProductForm.h): 1
                          ///< widened to f32, 2 in pairs, 32 in tiles; 0: as the model says
  int64_t warps = 4;      ///< of a GPU's block, where its tiles have rows for them
  int64_t nWarps = 1;     ///< of them, side by side along a product's columns: divides them

  bool operator==(const TileConfig &) const = default;
};

template <FieldsOf<TileConfig> Self, class Visit> void visitFields(Self &self, Visit &&visit) {
  auto &[tile, microRows, microVectors, microDepth, warps, nWarps] = self;
  visit(Field{"tile", "tile sizes by dimension", 1, 4096}, tile);
  visit(Field{"micro_rows", "rows of a product's register block", 1, 64}, microRows);
  visit(Field{"micro_vectors", "vectors in a row of a product's register block", 1, 64},
        microVectors);
  visit(Field{"micro_depth", "terms of a 16-bit product's sum at a time; 0: as the model says", 0,
              32},
        microDepth);
  visit(Field{"warps", "of a GPU's block, where its tiles have rows for them", 1, 32}, warps);
  visit(Field{"n_warps", "of them, side by side along a product's columns", 1, 32}, nWarps);
}

/// The kernel's constant that holds the tile's size in a dimension: "kv" -> "BKV".
std::string tileConstant(std::string_view dimension);

/// A pure model of cost. What the spec's `tile` gives is taken as it is. `extents` are those of the
/// kernel's views by name, as far as they are known.
TileConfig chooseTileConfig(const Spec &spec, const Target &target,
                            const std::map<std::string, int64_t> &extents = {});

} // namespace ringc
