#pragma once

#include "ringc/attention/shared/KernelSource.h"
#include "ringc/driver/HostPool.h"
#include "ringc/ring/SharedPlans.h"
#include "ringc/ring/Trace.h"

#include <atomic>
#include <cstdint>
#include <memory>

namespace ringc {

/// Programs of the kernels' grids: how many the plans of running passes ask for, and how many ran.
struct LaunchProgress {
  std::atomic<int64_t> planned = 0;
  std::atomic<int64_t> done = 0;
};

/// What the attentions of one process share.
struct AttentionContext {
  std::shared_ptr<KernelSource> kernels;
  std::shared_ptr<HostPool> pool;
  std::shared_ptr<LaunchProgress> progress = {}; ///< may be null
  std::shared_ptr<Trace> trace = {};             ///< of all passes; may be null
  std::shared_ptr<SharedPlans> plans = {};       ///< of ranks with the same inputs; may be null
};

} // namespace ringc
