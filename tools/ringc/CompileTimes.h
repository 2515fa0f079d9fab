#pragma once

#include "ringc/attention/Attention.h"
#include "ringc/attention/Context.h"
#include "ringc/attention/device/DeviceCode.h"

#include <vector>

namespace ringc::cli {

/// What the kernels of a pass cost before they run: of the slowest of them.
struct CompileTimes {
  double coldMs = 0; ///< from source to machine code, or PTX, with no cache
  double loadMs = 0; ///< linked on the host; on a device by the driver, which compiles PTX anew
  double warmLookupUs = 0; ///< asked for again
};

/// For the first of `devices`, or without any for the host. `options` are complete.
CompileTimes compileTimes(Pass pass, const AttentionOptions &options,
                          const AttentionContext &context,
                          const std::vector<DeviceContext> &devices);

} // namespace ringc::cli
