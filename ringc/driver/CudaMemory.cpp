#include "ringc/driver/CudaMemory.h"

#include <utility>

namespace ringc {

DeviceMemory::DeviceMemory(std::shared_ptr<const CudaDevice> device, int64_t bytes)
    : on(std::move(device)), size(bytes) {
  if (bytes == 0)
    return;
  CudaCurrent current(*on);
  check(on->functions().memAlloc(&address, size_t(bytes)), "cuMemAlloc");
}

DeviceMemory::DeviceMemory(const CudaStream &stream, int64_t bytes)
    : on(stream.device()), size(bytes), freed(Freed::InStreamOrder), order(stream.handle()) {
  if (bytes == 0)
    return;
  CudaCurrent current(*on);
  check(on->functions().memAllocAsync(&address, size_t(bytes), order), "cuMemAllocAsync");
}

DeviceMemory::~DeviceMemory() {
  if (address == 0)
    return;
  CudaCurrent current(*on);
  if (freed == Freed::InStreamOrder)
    (void)on->functions().memFreeAsync(address, order);
  else
    (void)on->functions().memFree(address);
}

void DeviceMemory::swap(DeviceMemory &other) noexcept {
  std::swap(on, other.on);
  std::swap(address, other.address);
  std::swap(size, other.size);
  std::swap(freed, other.freed);
  std::swap(order, other.order);
}

void DeviceMemory::check(CudaResult result, const char *call) const {
  if (result == CudaResult::Success)
    return;
  std::string asked = describeBytes(size);
  if (result == CudaResult::OutOfMemory) {
    CudaDevice::Memory memory = on->memory();
    asked += " (free: " + describeBytes(memory.freeBytes) + " of " +
             describeBytes(memory.totalBytes) + ")";
  }
  throw on->error(result, call, asked);
}

PinnedMemory::PinnedMemory(std::shared_ptr<const CudaDevice> device, int64_t bytes) {
  if (bytes == 0)
    return;
  CudaCurrent current(*device);
  void *made = nullptr;
  CudaResult result = device->functions().memAllocHost(&made, size_t(bytes));
  if (result != CudaResult::Success)
    throw device->error(result, "cuMemAllocHost", describeBytes(bytes) + " of the host's memory");
  memory = {std::move(device), made};
}

} // namespace ringc
