#pragma once

#include "ringc/Tensor.h"

#include <cstdint>
#include <memory>
#include <span>

namespace ringc {

class CudaStream;

/// Where a KvCache keeps what kernels read: all that differs between the memory of the host and
/// that of a device.
class KvMemory {
public:
  virtual ~KvMemory() = default;

  /// Row-major, and lasts as long as this.
  virtual Tensor allocate(DType dtype, std::span<const int64_t> shape) = 0;
  /// Of one type and shape, any strides with a unit last one, no overlap.
  virtual void copy(const Tensor &from, const Tensor &to) = 0;
  /// i32.
  virtual void fill(const Tensor &tensor, int32_t number) = 0;
};

std::unique_ptr<KvMemory> hostKvMemory();
/// Of the stream's device, in its order; the stream must outlive it.
std::unique_ptr<KvMemory> deviceKvMemory(const CudaStream &stream);

} // namespace ringc
