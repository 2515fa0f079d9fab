#include "ringc/driver/CudaDevice.h"

#include <array>
#include <cstdio>

namespace ringc {

CudaDevice::CudaDevice(std::shared_ptr<const CudaDriver> driver, int ordinal)
    : cuda(std::move(driver)), known(cuda->facts(ordinal)) {
  cuda->check(functions().deviceGet(&device, ordinal), "cuDeviceGet", known.describe());
  cuda->check(functions().devicePrimaryCtxRetain(&primary, device), "cuDevicePrimaryCtxRetain",
              known.describe());
}

CudaDevice::~CudaDevice() {
  if (primary)
    (void)functions().devicePrimaryCtxRelease(device);
}

CudaDevice::Memory CudaDevice::memory() const {
  CudaCurrent current(*this);
  size_t free = 0, total = 0;
  check(functions().memGetInfo(&free, &total), "cuMemGetInfo", "the device's memory");
  return {int64_t(free), int64_t(total)};
}

bool CudaDevice::reach(const CudaDevice &other) const {
  int can = 0;
  check(functions().deviceCanAccessPeer(&can, device, other.device), "cuDeviceCanAccessPeer",
        other.known.describe());
  if (!can)
    return false;
  CudaCurrent current(*this);
  CudaResult result = functions().ctxEnablePeerAccess(other.primary, 0);
  if (result != CudaResult::PeerAccessAlreadyEnabled)
    check(result, "cuCtxEnablePeerAccess", other.known.describe());
  return true;
}

CudaError CudaDevice::error(CudaResult result, std::string_view call,
                            std::string_view object) const {
  return cuda->error(result, call, std::string(object) + " on " + known.describe());
}

CudaCurrent::CudaCurrent(const CudaDevice &device) noexcept : functions(device.functions()) {
  CudaContext current = nullptr;
  if (functions.ctxGetCurrent(&current) == CudaResult::Success && current == device.context())
    return;
  pushed = functions.ctxPushCurrent(device.context()) == CudaResult::Success;
}

CudaCurrent::~CudaCurrent() {
  CudaContext popped = nullptr;
  if (pushed)
    (void)functions.ctxPopCurrent(&popped);
}

std::string describeBytes(int64_t bytes) {
  constexpr std::array<const char *, 4> units = {"bytes", "KiB", "MiB", "GiB"};
  double amount = double(bytes);
  size_t unit = 0;
  for (; amount >= 1024 && unit + 1 < units.size(); ++unit)
    amount /= 1024;
  if (unit == 0)
    return std::to_string(bytes) + " bytes";
  char text[64];
  std::snprintf(text, sizeof text, "%.1f %s (%lld bytes)", amount, units[unit],
                static_cast<long long>(bytes));
  return text;
}

} // namespace ringc
