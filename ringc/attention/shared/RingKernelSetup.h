#pragma once

#include "ringc/attention/shared/Extents.h"
#include "ringc/attention/shared/Launch.h"
#include "ringc/attention/shared/Parameters.h"
#include "ringc/ring/Executor.h"

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

} // namespace ringc
