#pragma once

#include <cstdint>
#include <string>

namespace ringc {

/// What the lowering needs to know of a GPU, and of what was decided for it.
struct GpuTarget {
  int sm = 80;                               ///< compute capability: 80 is 8.0
  int64_t sharedBytes = int64_t{163} * 1024; ///< shared memory that a block may ask for
  std::string ptxVersion =
      "ptx80";        ///< LLVM's feature: the least that has what is used of this chip
  int64_t warps = 4;  ///< of a block, where its tiles have rows for them
  int64_t nWarps = 1; ///< of them, side by side along n (Fragment.h)
};

} // namespace ringc
