#pragma once

#include "ringc/attention/host/HostKernels.h"

namespace ringc {

/// The compiled backward in one kernel: dK and dV of the block, and additions to a sum in f32 that
/// becomes dQ after the last one. Programs of one head run one after another, since all add to it.
class FusedBackwardKernels final : public PoolKernels {
public:
  /// `memory` is for the sum. Of `code`, `keys` is the fused kernel and `queries` rounds its sum.
  FusedBackwardKernels(const RingKernelSetup &setup, const BackwardCode &code, KeptMemory &memory,
                       const Tensor &q, const Tensor &dout, const ForwardResults &results,
                       const Tensor &dq);

  void run(const HopBlock &block) override;
  void runNothing() override;

private:
  Tensor gradient; ///< dq
  std::list<HostTensor> memory;
  BackwardRows rows;
  Tensor byHeads, sum; ///< f32; the latter as dq, in the memory of the former
  Launch delta, fused, round;
};

} // namespace ringc
