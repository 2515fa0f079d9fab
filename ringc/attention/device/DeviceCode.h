#pragma once

#include "ringc/compiler/spec/CompiledKernel.h"
#include "ringc/compiler/spec/KernelRequest.h"
#include "ringc/compiler/spec/Spec.h"
#include "ringc/driver/CudaModule.h"
#include "ringc/ring/Plan.h"
#include "ringc/ring/Trace.h"
#include "ringc/tune/KernelWork.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace ringc {

/// A compiled kernel that is ready to run on a device; the twin of HostCode.
struct DeviceCode {
  std::shared_ptr<const CompiledKernel> kernel;
  std::shared_ptr<const CudaModule> module; ///< where the code lies
  CudaFunction function;

  /// Loads PTX, or a cubin, on the device. Throws CudaError.
  static DeviceCode load(std::shared_ptr<const CudaDevice> device,
                         std::shared_ptr<const CompiledKernel> kernel);
};

/// Where a device's kernels come from; the twin of KernelSource. Safe to use from many threads.
class DeviceKernelSource {
public:
  virtual ~DeviceKernelSource() = default;

  /// The user's .tile texts together with the library's.
  virtual SourceSet sources(std::vector<SourceText> user) = 0;

  /// For the source's own device, whatever target `spec` names. Throws InputError, with rendered
  /// diagnostics where a source is wrong, and CudaError where the device does not take the code.
  virtual DeviceCode get(Spec spec, const SourceSet &sources, const KernelWork &work) = 0;
  DeviceCode get(Spec spec, const SourceSet &sources) { return get(std::move(spec), sources, {}); }

  /// As KernelSource's.
  virtual std::string build() const { return {}; }
  virtual std::optional<Schedule> schedule(Pass, const Spec &, const SourceSet &,
                                           const KernelWork &, const SequenceLayout &) {
    return {};
  }
};

/// What the attentions on one device share.
struct DeviceContext {
  std::shared_ptr<DeviceKernelSource> kernels;
  std::shared_ptr<const CudaDevice> device;
  std::shared_ptr<Trace> trace = {}; ///< of all passes; may be null
};

} // namespace ringc
