#pragma once

#include "ringc/Tensor.h"
#include "ringc/driver/CudaMemory.h"

#include <span>
#include <vector>

namespace ringc {

/// Owns row-major memory of a device, not filled. Its view's data is an address on the device,
/// which the host must not read.
class DeviceTensor {
public:
  DeviceTensor() = default;
  DeviceTensor(const std::shared_ptr<const CudaDevice> &device, DType dtype,
               std::span<const int64_t> shape)
      : memory(device, Tensor(nullptr, dtype, shape).byteCount()),
        tensor(memory.data(), dtype, shape) {}

  /// A row-major copy of any tensor of the host; returns when it is made.
  static DeviceTensor copyOf(const CudaStream &stream, const Tensor &host) {
    HostTensor dense = HostTensor::copyOf(host);
    DeviceTensor made(stream.device(), host.dtype(), host.shape());
    stream.upload(made.tensor.data(), dense.data(), dense.byteCount());
    stream.synchronize(); // `dense` ends here
    return made;
  }

  const Tensor &view() const { return tensor; }
  operator const Tensor &() const { return tensor; }

  /// Returns when all that the stream was given has run.
  HostTensor download(const CudaStream &stream) const {
    HostTensor host(tensor.dtype(), tensor.shape());
    stream.download(host.data(), tensor.data(), tensor.byteCount());
    stream.synchronize();
    return host;
  }

private:
  DeviceMemory memory;
  Tensor tensor;
};

} // namespace ringc
