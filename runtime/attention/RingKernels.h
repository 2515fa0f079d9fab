#pragma once

#include "runtime/attention/Extents.h"
#include "runtime/attention/Launch.h"
#include "runtime/attention/Parameters.h"
#include "runtime/ring/Executor.h"

#include <functional>

namespace ringc {

/// What the kernels of both passes share.
struct RingKernelSetup {
  const RankProblem &problem;
  const Parameters &parameters;
  HeadsAndBatch heads;
  double scale;
  HostLaunch::Order rowOrder; ///< along query rows
  const Plan &plan;
  AttentionContext context;
};

/// Memory for the state that kernels carry from hop to hop, kept between calls.
class CarryMemory {
public:
  /// 64-byte aligned; null for 0 bytes.
  void *reserve(int64_t bytes);

private:
  HostTensor memory;
};

/// The compiled forward behind the executor. A block's tensors are K, V and travelling views.
class ForwardKernels final : public HopKernels {
public:
  ForwardKernels(const RingKernelSetup &setup, HostCode code, CarryMemory &memory, const Tensor &q,
                 const ForwardResults &results);

  void run(const HopBlock &block) override;
  void runNothing() override;

private:
  RingKernelSetup setup;
  ForwardResults results;
  Launch forward;
  void *state = nullptr;
};

struct BackwardCode {
  HostCode delta, keys, queries;
};

/// The compiled backward, in two halves: dK and dV of the block, then dQ.
class BackwardKernels final : public HopKernels {
public:
  BackwardKernels(const RingKernelSetup &setup, const BackwardCode &code, CarryMemory &memory,
                  const Tensor &q, const Tensor &dout, const ForwardResults &results,
                  const Tensor &dq);

  void run(const HopBlock &block) override;
  void runNothing() override;

private:
  RingKernelSetup setup;
  Tensor gradient; ///< dq
  HostTensor deltas;
  Launch delta, keys, queries;
  void *state = nullptr;
};

/// Writes one value to all of a float tensor.
void fill(const Tensor &tensor, float value);

} // namespace ringc
