#pragma once

#include "ringc/Tensor.h"
#include "ringc/comm/InProcess.h"
#include "ringc/ring/Executor.h"
#include "ringc/ring/Plan.h"
#include "tests/ring/NaiveKernels.h"
#include "tests/support/ReferenceAttention.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace ringc::test {

/// One attention on one world.
struct RingCase {
  int world = 1, ringSize = 1;
  SequenceLayout layout;
  Schedule schedule = Schedule::Ring;
  int64_t batch = 1, queries = 8, keys = 8, heads = 1, kvHeads = 1, dim = 4, valueDim = 4;
  RowMask mask;
  std::vector<int64_t> hiddenKeys;     ///< by the key mask, in every batch row
  std::vector<int64_t> documentStarts; ///< besides 0; needs queries == keys

  std::string name() const;
};

/// Global tensors, f32.
struct Inputs {
  HostTensor q, k, v, dout, keyMask, documents;
};

/// Normal random numbers; rows of hidden keys are NaN.
Inputs randomInputs(const RingCase &ring, unsigned seed);

/// Gathered from all ranks.
struct Outputs {
  HostTensor out, lse, dq, dk, dv;
};

struct RunOptions {
  InProcessOptions transport;

  /// Wraps the kernels of a rank; by default they are used as they are.
  std::function<std::unique_ptr<HopKernels>(int rank, Pass pass, std::unique_ptr<HopKernels> inner,
                                            const RankShard &shard, const HopMemory &memory)>
      wrap;

  /// Lay own keys out with gaps, filled with NaN.
  enum class Keys { RowMajor, WithGaps } keys = Keys::RowMajor;

  Trace *trace = nullptr; ///< of both passes
};

struct RunReport {
  Plan forwardPlan, backwardPlan;
  ExecutionReport forward, backward;
};

/// Shards, frees what is global, runs all ranks forward and backward, gathers. What a rank held is
/// NaN as soon as its backward is over: the others have had it by then. `reports`, where given, is
/// by rank.
Outputs runRing(const RingCase &ring, Inputs inputs, const RunOptions &options = {},
                std::vector<RunReport> *reports = nullptr);

/// What the reference says, in double precision.
reference::Result expected(const RingCase &ring, const Inputs &inputs);

/// The largest relative error of all five results.
double worstError(const Outputs &outputs, const reference::Result &expected);

bool sameBits(const Outputs &a, const Outputs &b);

} // namespace ringc::test
