#pragma once

#include "ringc/comm/InProcess.h"
#include "ringc/ring/Executor.h"
#include "tests/ring/semantics/Case.h"

#include <functional>
#include <vector>

namespace ringc::test {

/// What happened on one rank.
struct RankReport {
  Plan forwardPlan, backwardPlan;
  ExecutionReport forward, backward;
  int64_t programs = 0; ///< of its kernels, that ran
  int64_t outside = 0;  ///< views given to them that lie neither in its shard nor in a hop buffer
};

/// As `compute`, with ranks that have nothing in common: each rank's rows lie between unmapped
/// pages, the whole sequence is gone before the first hop, what a hop buffer held is gone (NaN)
/// before something comes into it, and every view that a kernel is given is looked at. Needs one
/// ring and no more than 8 ranks. `aroundProgram` is called before and after each program of a
/// rank's kernels, within their launch, from the pool's threads.
reference::Result computeFenced(const Case &given, Data data, std::vector<RankReport> &reports,
                                InProcessOptions transport = {},
                                std::function<void()> aroundProgram = {});

} // namespace ringc::test
