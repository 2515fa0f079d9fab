#pragma once

#include "runtime/attention/Extents.h"
#include "runtime/attention/Launch.h"
#include "runtime/attention/Parameters.h"
#include "runtime/driver/HostMemory.h"
#include "runtime/ring/Executor.h"

#include <functional>
#include <list>
#include <span>
#include <utility>

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

/// The results of a forward as its kernel writes them; `memory(shape)` gives an f32 tensor for what
/// the caller does not ask for.
template <typename Memory>
void setResults(LaunchSlots &forward, const ForwardResults &results, Memory &&memory) {
  forward.set("out", ProgramTensor::rows(results.out));
  forward.set("lse", ProgramTensor::numbers(results.lse));
  for (auto [name, wanted] : {std::pair("row_max", &results.rowMax), {"row_sum", &results.rowSum}})
    forward.set(name, ProgramTensor::numbers(*wanted ? **wanted : memory(results.lse.shape())));
}

/// What the kernels of a backward share of each query row: f32 [b, h, n_q].
struct BackwardRows {
  Tensor delta, base, shift;

  template <typename Memory> static BackwardRows in(const ForwardResults &from, Memory &&memory) {
    auto shape = from.lse.shape();
    return {memory(shape), memory(shape), memory(shape)};
  }

  /// attention_delta, which makes them.
  void setMaker(LaunchSlots &launch, const RingKernelSetup &setup, const ForwardResults &from,
                const Tensor &dout) const;
  /// A kernel that reads them, with q and dout.
  void setReader(LaunchSlots &launch, const RingKernelSetup &setup, const Tensor &q,
                 const Tensor &dout) const;
};

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
  std::list<HostTensor> unasked; ///< results that nobody asked for
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
  std::list<HostTensor> memory;
  BackwardRows rows;
  Launch delta, keys, queries;
};

/// A new f32 tensor in `memory`.
Tensor madeIn(std::list<HostTensor> &memory, std::span<const int64_t> shape);

/// Writes one value to all of a float tensor.
void fill(const Tensor &tensor, float value);

} // namespace ringc
