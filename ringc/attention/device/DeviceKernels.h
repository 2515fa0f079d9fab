#pragma once

#include "ringc/attention/device/DeviceCode.h"
#include "ringc/attention/device/DeviceElementwise.h"
#include "ringc/attention/device/DeviceRoom.h"
#include "ringc/attention/shared/Launch.h"
#include "ringc/attention/shared/RingKernelSetup.h"
#include "ringc/ring/Executor.h"

namespace ringc {

/// A launch on a device: grid (programs along p0, KV heads or programs along p1, batch), the slots
/// as the kernel's only parameter.
class DeviceLaunch final : public LaunchSlots {
public:
  DeviceLaunch(DeviceCode code, const HeadsAndBatch &heads);

  /// What the driver is asked for.
  CudaGrid blocks() const;

  /// Puts it in the stream's order. Throws std::logic_error where an argument was not given.
  void run(const CudaStream &stream) const;

private:
  DeviceCode code;
};

/// Kernels whose tensors lie on a device; all that they do is put in the stream's order, and
/// returns before it has run.
class StreamKernels : public HopKernels {
public:
  StreamKernels(const RingKernelSetup &given, const CudaStream &order,
                const DeviceElementwise &between)
      : setup(given), stream(order), elementwise(between) {}

  void zero(const Tensor &tensor) final;
  void add(const Tensor &part, const Tensor &sum) final;
  void copy(const Tensor &from, const Tensor &to) final;
  std::unique_ptr<TraceClock> traceClock() final;

protected:
  RingKernelSetup setup;
  const CudaStream &stream;

private:
  const DeviceElementwise &elementwise;
};

class DeviceForwardKernels final : public StreamKernels {
public:
  /// `room` is for the state that the kernel carries from hop to hop.
  DeviceForwardKernels(const RingKernelSetup &setup, const CudaStream &stream,
                       const DeviceElementwise &elementwise, const DeviceCode &code,
                       DeviceRoom &room, const Tensor &q, const ForwardResults &results);

  void run(const HopBlock &block) override;
  void runNothing() override;

private:
  ForwardResults results;
  DeviceLaunch forward;
  void *state = nullptr;
};

struct DeviceBackwardCode {
  DeviceCode delta, keys, queries;
};

class DeviceBackwardKernels final : public StreamKernels {
public:
  DeviceBackwardKernels(const RingKernelSetup &setup, const CudaStream &stream,
                        const DeviceElementwise &elementwise, const DeviceBackwardCode &code,
                        DeviceRoom &room, const Tensor &q, const Tensor &dout,
                        const ForwardResults &results, const Tensor &dq);

  /// dK and dV, which then travel, beside dQ.
  void run(const HopBlock &block) override;
  void runBesideGradients(const HopBlock &block) override;
  void runNothing() override;

private:
  Tensor gradient; ///< dq
  BackwardRows rows;
  DeviceLaunch delta, keys, queries;
  void *state = nullptr;
};

} // namespace ringc
