#pragma once

#include "ringc/driver/CudaStream.h"

#include <cstdint>

namespace ringc {

/// Owns memory of a device, 256-byte aligned, not filled. Moves, does not copy. Throws CudaError,
/// naming what was asked and what is free, where there is not enough. Null for 0 bytes.
class DeviceMemory {
public:
  DeviceMemory() = default;
  /// Freeing waits for all that runs on the device.
  DeviceMemory(std::shared_ptr<const CudaDevice> device, int64_t bytes);
  /// Allocated and freed in the order of the stream, which must outlive it.
  DeviceMemory(const CudaStream &stream, int64_t bytes);

  DeviceMemory(DeviceMemory &&other) noexcept { swap(other); }
  DeviceMemory &operator=(DeviceMemory &&other) noexcept {
    DeviceMemory taken(std::move(other));
    swap(taken);
    return *this;
  }
  ~DeviceMemory();

  /// An address on the device.
  void *data() const { return reinterpret_cast<void *>(uintptr_t(address)); }
  int64_t bytes() const { return size; }

private:
  enum class Freed : uint8_t { AtOnce, InStreamOrder };
  void swap(DeviceMemory &other) noexcept;
  void check(CudaResult result, const char *call) const;

  std::shared_ptr<const CudaDevice> on;
  CudaAddress address = 0;
  int64_t size = 0;
  Freed freed = Freed::AtOnce;
  CudaStreamHandle order = nullptr;
};

/// Owns page-locked memory of the host, which copies reach without waiting for the host.
class PinnedMemory {
public:
  PinnedMemory() = default;
  PinnedMemory(std::shared_ptr<const CudaDevice> device, int64_t bytes);

  void *data() const { return memory.get(); }

private:
  CudaHandle<void *, &CudaFunctions::memFreeHost> memory;
};

} // namespace ringc
