#pragma once

#include "ringc/compiler/spec/Spec.h"
#include "ringc/compiler/spec/Target.h"
#include "ringc/compiler/spec/TileConfig.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace ringc {

/// One dimension of a kernel's TileConfig, under the name that `tile` has it by.
struct TileDimension {
  std::string name;
  std::vector<int64_t> values; ///< rising
};

/// What a kernel's source says of its tiles, for one that the model does not know.
struct SourceTiles {
  std::map<std::string, int64_t> sizes; ///< by dimension, defaults: {"m", 64} is BM = 64
  bool hasProducts = true;              ///< so that their register blocks and warps matter
};

/// What a kernel's TileConfig may be on a target: the dimensions, and what must hold between them.
/// A tuner knows no more of targets than this.
class TileSpace {
public:
  /// Tiles of a kernel that the model does not know may have any power of two from 16 to 256, or
  /// the source's default, each.
  /// `extents` are chooseTileConfig's.
  TileSpace(const Spec &spec, const Target &target, const SourceTiles &ofSource = {},
            const std::map<std::string, int64_t> &extents = {});

  /// None for a kernel of which neither the model nor `ofSource` says anything.
  const std::vector<TileDimension> &dimensions() const { return axes; }

  /// Why the kernel cannot run like this; empty where nothing is known against it.
  std::string objection(const TileConfig &config) const;

  /// Whether the model knows the kernel; if not, its dimensions are those of its source.
  static bool knows(const std::string &kernel);

  /// All against which there is no objection, by what the model of cost thinks of them: its own
  /// choice first, then what is near to it and fits a thread's registers.
  std::vector<TileConfig> candidates() const;

  /// As `tile` would have it by hand, for this kernel alone: {"attention_forward.q", 64}, ...
  std::map<std::string, int64_t> byHand(const TileConfig &config) const;

private:
  int64_t sizeOf(const TileConfig &config, const std::string &name) const;
  double expectedCost(const TileConfig &config) const;

  Spec spec;
  Target target;
  std::vector<TileDimension> axes;
  TileConfig chosen;
};

} // namespace ringc
