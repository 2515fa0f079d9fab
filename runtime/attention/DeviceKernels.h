#pragma once

#include "runtime/attention/DeviceCode.h"
#include "runtime/attention/DeviceTensor.h"
#include "runtime/attention/Launch.h"
#include "runtime/attention/RingKernels.h"
#include "runtime/ring/Executor.h"

namespace ringc {

/// A launch on a device: grid (programs along rows, KV heads, batch), the slots as the kernel's
/// only parameter. Batch entries count from 0 in a device's kernels: `heads.firstBatch` must be 0.
class DeviceLaunch final : public LaunchSlots {
public:
  DeviceLaunch(DeviceCode code, const HeadsAndBatch &heads);

  /// Puts it in the stream's order. Throws std::logic_error where an argument was not given.
  void run(const CudaStream &stream) const;

private:
  DeviceCode code;
};

/// sum += part in f32 on a device, for gradients that come home.
class DeviceAdd {
public:
  explicit DeviceAdd(std::shared_ptr<const CudaDevice> device);

  /// Both row-major, of one shape.
  void run(const CudaStream &stream, const Tensor &part, const Tensor &sum) const;

private:
  std::shared_ptr<const CudaModule> module;
  CudaFunction function;
};

/// Kernels whose tensors lie on a device; all that they do is put in the stream's order, and
/// returns before it has run.
class StreamKernels : public HopKernels {
public:
  StreamKernels(const RingKernelSetup &given, const CudaStream &order, const DeviceAdd &adding)
      : setup(given), stream(order), adder(adding) {}

  void zero(const Tensor &tensor) final;
  void add(const Tensor &part, const Tensor &sum) final;
  void copy(const Tensor &from, const Tensor &to) final; ///< both row-major

protected:
  RingKernelSetup setup;
  const CudaStream &stream;

private:
  const DeviceAdd &adder;
};

class DeviceForwardKernels final : public StreamKernels {
public:
  DeviceForwardKernels(const RingKernelSetup &setup, const CudaStream &stream, const DeviceAdd &add,
                       const DeviceCode &code, const Tensor &q, const ForwardResults &results);

  void run(const HopBlock &block) override;
  void runNothing() override;

private:
  ForwardResults results;
  DeviceLaunch forward;
  DeviceMemory state;
};

struct DeviceBackwardCode {
  DeviceCode delta, keys, queries;
};

class DeviceBackwardKernels final : public StreamKernels {
public:
  DeviceBackwardKernels(const RingKernelSetup &setup, const CudaStream &stream,
                        const DeviceAdd &add, const DeviceBackwardCode &code, const Tensor &q,
                        const Tensor &dout, const ForwardResults &results, const Tensor &dq);

  void run(const HopBlock &block) override;
  void runNothing() override;

private:
  Tensor gradient; ///< dq
  DeviceTensor deltas;
  DeviceLaunch delta, keys, queries;
  DeviceMemory state;
};

} // namespace ringc
