#pragma once

#include "ringc/attention/device/DeviceCode.h"
#include "ringc/jit/KernelCache.h"
#include "ringc/tune/TunedConfigs.h"

#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>

namespace ringc {

/// Kernels compiled for one device when they are first asked for, to PTX, which the driver compiles
/// further. Loaded code stays on the device for the object's life and that of every DeviceCode.
class DeviceCompiler final : public DeviceKernelSource {
public:
  /// Throws InputError for a device of compute capability below 8.0.
  /// `tuned` may be null: then all tile sizes are the compiler's choice.
  DeviceCompiler(std::shared_ptr<KernelCache> cache, std::shared_ptr<const CudaDevice> device,
                 std::shared_ptr<TunedConfigs> tuned = {});

  SourceSet sources(std::vector<SourceText> user) override;
  using DeviceKernelSource::get;
  DeviceCode get(Spec spec, const SourceSet &sources, const KernelWork &work) override;
  std::string build() const override;
  std::optional<Schedule> schedule(Pass pass, const Spec &forward, const SourceSet &sources,
                                   const KernelWork &work, const SequenceLayout &layout) override;

private:
  std::shared_ptr<KernelCache> cache;
  std::shared_ptr<const CudaDevice> device;
  std::shared_ptr<TunedConfigs> tuned;
  Target target;
  struct Loaded {
    std::mutex compiling;
    std::optional<DeviceCode> code;
  };
  std::mutex mutex;
  std::unordered_map<KernelRequest, std::shared_ptr<Loaded>, KernelRequestHash> loaded;
};

/// What to compile for. Throws InputError where the device is older than 8.0.
Target targetFor(const CudaDeviceFacts &device);

/// One device, and kernels from DeviceCompiler with the user's own cache folder. Throws CudaError
/// where there is no such device. `tell` is hostContext's.
DeviceContext deviceContext(int ordinal = 0, TuneTable::Warn tell = {});

} // namespace ringc
