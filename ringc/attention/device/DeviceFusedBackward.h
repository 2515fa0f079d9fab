#pragma once

#include "ringc/attention/device/DeviceKernels.h"

namespace ringc {

/// FusedBackwardKernels on a device: programs add to the sum of dQ in any order.
class DeviceFusedBackwardKernels final : public StreamKernels {
public:
  /// Of `code`, `keys` is the fused kernel and `queries` rounds its sum.
  DeviceFusedBackwardKernels(const RingKernelSetup &setup, const CudaStream &stream,
                             const DeviceElementwise &elementwise, const DeviceBackwardCode &code,
                             DeviceRoom &room, const Tensor &q, const Tensor &dout,
                             const ForwardResults &results, const Tensor &dq);

  void run(const HopBlock &block) override;
  void runBesideGradients(const HopBlock &block) override;
  void runNothing() override;

private:
  Tensor gradient; ///< dq
  BackwardRows rows;
  Tensor sum;
  DeviceLaunch delta, fused, round;
};

} // namespace ringc
