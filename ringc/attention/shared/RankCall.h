#pragma once

#include "ringc/attention/shared/Extents.h"
#include "ringc/attention/shared/MaskPlan.h"
#include "ringc/attention/shared/Parameters.h"
#include "ringc/attention/shared/RankSchedule.h"
#include "ringc/attention/shared/RingKernelSetup.h"
#include "ringc/ring/Executor.h"

#include <optional>
#include <vector>

namespace ringc {

/// One call of a pass as one rank sees it, on the host and on devices alike: the problem, what
/// masks and scores read, what is sharded. `options` are complete, and outlive it.
struct RankCall {
  /// Throws InputError where options, shape and inputs do not fit together.
  RankCall(const AttentionOptions &options, int world, int rank, const AttentionShape &shape,
           const AttentionInputs &inputs);

  /// What the masks and scores of `kernel` read, but documents.
  void setParameters(const CompiledKernel &kernel, const AttentionInputs &inputs);

  /// What is sent and received: k, v, travelling views, and in the backward dk and dv in f32.
  void setShard(const Tensor &k, const Tensor &v, std::vector<KeyIndexed> gradients);

  /// What the plans of all ranks of the ring are made from. After the above.
  RingProblem ring(Pass pass, const RankSchedule &schedule, std::optional<Schedule> tuned) const;
  /// `ring` is this call's.
  PlaceVisibility visibility(const RingProblem &ring, const CompiledKernel &kernel,
                             const AttentionInputs &inputs) const;

  /// `plan` must outlive it. For the host: its context, and the order of programs along rows.
  RingKernelSetup setup(const Plan &plan) const;

  const AttentionOptions &options;
  RankProblem problem;
  std::optional<Parameters> parameters;
  RankShard shard;

private:
  RingProblem problemOfRing() const; ///< without its schedule
};

} // namespace ringc
