#pragma once

#include "ringc/attention/Attention.h"
#include "ringc/attention/Context.h"
#include "ringc/comm/InProcess.h"
#include "ringc/ring/Executor.h"
#include "ringc/ring/Plan.h"

#include <memory>
#include <vector>

namespace ringc {

/// A whole world of ranks in one process, on one pool of threads: takes unsharded tensors, deals
/// them to the ranks, runs every rank, and gathers. Each rank sees its own shard alone.
///
/// One thread at a time calls a ring; several rings may share a context and be called at once, from
/// programs of its pool, too. A child of fork() may go on with a ring that no call was using.
///
///     HostAttentionRing ring({.heads = 8, .headDim = 64, .causal = true,
///                         .layout = SequenceLayout::striped()}, 4, hostContext());
///     auto forward = ring.forward({.q = q, .k = k, .v = v});
///     auto gradients = ring.backward({.q = q, .k = k, .v = v}, forward, dout);
class HostAttentionRing {
public:
  struct Forward {
    HostTensor out, lse;
    HostTensor rowMax = {}, rowSum = {}; ///< of ForwardResults; empty ones are absent
  };
  struct Gradients {
    HostTensor dq, dk, dv;
  };

  /// Throws InputError for options that cannot be.
  HostAttentionRing(AttentionOptions options, int world, AttentionContext context);
  ~HostAttentionRing();
  HostAttentionRing(HostAttentionRing &&) noexcept;
  HostAttentionRing &operator=(HostAttentionRing &&) noexcept;

  /// All tensors of the whole batch and sequence. Throws InputError where they do not agree.
  Forward forward(const AttentionInputs &inputs);
  Gradients backward(const AttentionInputs &inputs, const Forward &forward, const Tensor &dout);

  /// Compiles what a pass needs, where it is not compiled yet, so that the first call does not.
  void prepare(Pass pass, const AttentionInputs &inputs);

  /// The plan of one pass, by rank.
  std::vector<Plan> plans(Pass pass, const AttentionInputs &inputs);

  /// Of the latest pass, by rank.
  const std::vector<ExecutionReport> &reports() const;

private:
  class World;
  std::unique_ptr<World> self;
};

} // namespace ringc
