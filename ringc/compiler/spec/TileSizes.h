#pragma once

#include "ringc/compiler/spec/TileConfig.h"

#include <string>

namespace ringc {

/// The size that `tile` has by this name: warps, n_warps, micro_rows, micro_vectors, micro_depth,
/// or a tile's dimension, which is made where it is not there.
int64_t &sizeOf(TileConfig &config, const std::string &dimension);

} // namespace ringc
