#pragma once

#include "runtime/attention/Extents.h"
#include "runtime/attention/Launch.h"
#include "runtime/attention/Parameters.h"
#include "runtime/driver/HostMemory.h"
#include "runtime/ring/Executor.h"

#include <functional>

namespace ringc {

/// What the kernels of both passes share.
struct RingKernelSetup {
  const RankProblem &problem;
  const Parameters &parameters;
  HeadsAndBatch heads;
  double scale;
  HostLaunch::Order rowOrder = HostLaunch::Order::Rising; ///< on the host: along query rows
  const Plan &plan;
  int gradientKeyAxis = 1; ///< on the host: of the sums of dk and dv; 2 where they lie by heads
  AttentionContext context = {}; ///< on the host
};

/// [batch, rows, heads, head dim] as [batch, heads, rows, head dim], and the other way round;
/// shares memory. What programs of one head read or add to one after another fills a cache's sets
/// evenly where it lies by heads; rows of all heads side by side lie so far apart that those of one
/// head share few sets.
Tensor exchangeRowsAndHeads(const Tensor &tensor);

/// Sums of dk or dv as [batch, keys, heads, head dim].
Tensor rowsOfKeys(const Tensor &gradient, int keyAxis);

/// The arguments that stay the same for all hops, of kernels on the host and on devices.
void setCommon(LaunchSlots &launch, const RingKernelSetup &setup);
/// And those that a hop brings. A block's tensors are K, V and travelling views.
void setBlock(LaunchSlots &launch, const RingKernelSetup &setup, const HopBlock &block);

/// Kernels that a HostPool runs, and that does their executor's work on memory too.
class PoolKernels : public HopKernels {
public:
  explicit PoolKernels(const RingKernelSetup &given) : setup(given) {}

  void zero(const Tensor &tensor) final;
  void add(const Tensor &part, const Tensor &sum) final;
  void copy(const Tensor &from, const Tensor &to) final;

protected:
  HostPool &pool() const { return *setup.context.pool; }
  /// "dk" and "dv": the sums of the block's owner.
  void setGradients(Launch &launch, const HopBlock &block) const;

  RingKernelSetup setup;
};

/// The compiled forward behind the executor.
class ForwardKernels final : public PoolKernels {
public:
  /// `memory` is for the state that the kernel carries from hop to hop.
  ForwardKernels(const RingKernelSetup &setup, HostCode code, KeptMemory &memory, const Tensor &q,
                 const ForwardResults &results);

  void run(const HopBlock &block) override;
  void runNothing() override;

private:
  ForwardResults results;
  Launch forward;
};

/// Of either form: `keys` gives dK and dV, `queries` dQ.
struct BackwardCode {
  HostCode delta, keys, queries;
};

/// The compiled backward, in two halves: dK and dV of the block, then dQ.
class BackwardKernels final : public PoolKernels {
public:
  BackwardKernels(const RingKernelSetup &setup, const BackwardCode &code, KeptMemory &memory,
                  const Tensor &q, const Tensor &dout, const ForwardResults &results,
                  const Tensor &dq);

  void run(const HopBlock &block) override;
  void runNothing() override;

private:
  Tensor gradient; ///< dq
  HostTensor deltas;
  Launch delta, keys, queries;
};

/// Writes one value to all of a float tensor.
void fill(const Tensor &tensor, float value);

} // namespace ringc
