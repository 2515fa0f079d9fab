#pragma once

#include "ringc/driver/CudaDriver.h"

#include <memory>
#include <utility>

namespace ringc {

/// One device and its primary context, the one that the CUDA runtime and PyTorch use too: kept
/// alive while this or anything made on it lives. Safe to use from many threads.
class CudaDevice {
public:
  /// Throws CudaError.
  CudaDevice(std::shared_ptr<const CudaDriver> driver, int ordinal);
  ~CudaDevice();
  CudaDevice(const CudaDevice &) = delete;
  CudaDevice &operator=(const CudaDevice &) = delete;

  const CudaDeviceFacts &facts() const { return known; }
  const CudaDriver &driver() const { return *cuda; }
  const CudaFunctions &functions() const { return cuda->functions(); }
  CudaContext context() const { return primary; }

  struct Memory {
    int64_t freeBytes = 0, totalBytes = 0;
  };
  Memory memory() const;

  /// Lets kernels and copies of this device reach memory of the other, where the hardware can;
  /// whether it can.
  bool reach(const CudaDevice &other) const;

  /// As CudaDriver's, naming the device.
  CudaError error(CudaResult result, std::string_view call, std::string_view object) const;
  void check(CudaResult result, std::string_view call, std::string_view object) const {
    if (result != CudaResult::Success)
      throw error(result, call, object);
  }

private:
  std::shared_ptr<const CudaDriver> cuda;
  CudaDeviceFacts known;
  CudaOrdinal device = 0;
  CudaContext primary = nullptr;
};

/// Makes a device's context the calling thread's for as long as this lives, then gives the thread
/// back the one it had. A failure shows in the calls made meanwhile.
class CudaCurrent {
public:
  explicit CudaCurrent(const CudaDevice &device) noexcept;
  ~CudaCurrent();
  CudaCurrent(const CudaCurrent &) = delete;
  CudaCurrent &operator=(const CudaCurrent &) = delete;

private:
  const CudaFunctions &functions;
  bool pushed = false;
};

/// Owns a driver object, and keeps its device.
template <typename Handle, CudaResult (*CudaFunctions::*destroy)(Handle)> class CudaHandle {
public:
  CudaHandle() = default;
  CudaHandle(std::shared_ptr<const CudaDevice> device, Handle made)
      : owner(std::move(device)), handle(made) {}
  CudaHandle(CudaHandle &&other) noexcept { swap(other); }
  CudaHandle &operator=(CudaHandle &&other) noexcept {
    CudaHandle taken(std::move(other));
    swap(taken);
    return *this;
  }
  ~CudaHandle() {
    if (handle == Handle{})
      return;
    CudaCurrent current(*owner);
    (void)(owner->functions().*destroy)(handle);
  }

  Handle get() const { return handle; }
  const std::shared_ptr<const CudaDevice> &device() const { return owner; }

private:
  void swap(CudaHandle &other) noexcept {
    std::swap(owner, other.owner);
    std::swap(handle, other.handle);
  }

  std::shared_ptr<const CudaDevice> owner;
  Handle handle{};
};

/// "1.5 GiB (1610612736 bytes)"
std::string describeBytes(int64_t bytes);

} // namespace ringc
