#pragma once

#include "runtime/attention/DeviceCode.h"
#include "runtime/jit/KernelCache.h"

#include <memory>
#include <mutex>
#include <unordered_map>

namespace ringc {

/// Kernels compiled for one device when they are first asked for, to PTX, which the driver compiles
/// further. Loaded code stays on the device for the object's life and that of every DeviceCode.
class DeviceCompiler final : public DeviceKernelSource {
public:
  /// Throws InputError for a device of compute capability below 8.0.
  DeviceCompiler(std::shared_ptr<KernelCache> cache, std::shared_ptr<const CudaDevice> device);

  SourceSet sources(std::vector<SourceText> user) override;
  DeviceCode get(Spec spec, const SourceSet &sources) override;
  std::string build() const override;

private:
  std::shared_ptr<KernelCache> cache;
  std::shared_ptr<const CudaDevice> device;
  Target target;
  std::mutex mutex;
  std::unordered_map<KernelRequest, DeviceCode, KernelRequestHash> loaded;
};

/// What to compile for. Throws InputError where the device is older than 8.0.
Target targetFor(const CudaDeviceFacts &device);

/// One device, and kernels from DeviceCompiler with the user's own cache folder. Throws CudaError
/// where there is no such device.
DeviceContext deviceContext(int ordinal = 0);

} // namespace ringc
