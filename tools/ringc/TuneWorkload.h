#pragma once

#include "ringc/tune/TuneAttention.h"
#include "tools/ringc/Shape.h"
#include "tools/ringc/TuneFlags.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <vector>

namespace ringc::cli {

/// What is compiled for, and how much memory it has.
struct Machine {
  Target target;
  int64_t deviceBytes = 0; ///< of all devices that there will be
};

/// A process that has asked the CUDA driver cannot fork any more: another one asks. `processes`:
/// those of a launcher, each with a device.
Machine machineOf(const TuneFlags &flags, int processes);

/// What is looked for, and the process that runs it.
struct TuneWorkload {
  std::function<TuneResult(TuneWorker &worker, std::chrono::duration<double> budget, uint64_t seed,
                           const std::function<bool(const TuneProgress &)> &progress)>
      search;
  TuneWorker::Body body;
  TuneWorker::Others others = {};
};

/// The passes' kernels, and of a ring its way. Throws InputError where they cannot be, or their
/// tensors have no room.
TuneWorkload attentionWorkload(const Session &session, const TuneFlags &flags, const Shape &shape,
                               const std::vector<Pass> &passes, const Machine &machine);

/// One kernel, by its spec (TuneSpec.h). Throws InputError as the other.
TuneWorkload specWorkload(const Session &session, const TuneFlags &flags, const Machine &machine);

/// In a process other than the first: what it runs follows that of the first one, in a process of
/// its own, which is made again where the world breaks. An exit code.
int followWorkload(const Session &session, const TuneFlags &flags, const Shape &shape);

} // namespace ringc::cli
