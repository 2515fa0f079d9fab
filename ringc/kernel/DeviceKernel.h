#pragma once

#include "ringc/attention/device/DeviceKernels.h"
#include "ringc/driver/CudaMemory.h"
#include "ringc/kernel/Arguments.h"
#include "ringc/kernel/Binding.h"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ringc {

/// A kernel with its arguments, on a device; the twin of KernelLaunch. It must live until what it
/// was given to has run.
class DeviceKernelLaunch {
public:
  /// Throws InputError for a grid that the device cannot have, CudaError where there is no memory
  /// for a running state that goes on.
  DeviceKernelLaunch(const DeviceContext &context, DeviceCode code, KernelBinding arguments);

  /// As KernelLaunch's.
  void set(std::string_view view, const Tensor &tensor) { arguments.set(launch, view, tensor); }
  void set(std::string_view name, const KernelValue &value);

  /// Puts it in the stream's order: allocates nothing, does not wait, and can be captured in a
  /// graph, which keeps the arguments of this moment. Throws InputError for a stream of another
  /// device.
  void run(const CudaStream &stream) const;

private:
  void setCarry(const CarryStep &step);

  std::shared_ptr<const CudaDevice> device;
  std::string name;
  KernelBinding arguments;
  DeviceLaunch launch;
  DeviceMemory state; ///< of all programs
};

/// A kernel of a .tile file, compiled for one device; the twin of Kernel. Tensors lie in memory
/// that the device reaches.
class DeviceKernel {
public:
  /// As Kernel's; the spec's target does not matter.
  DeviceKernel(const DeviceContext &context, const Spec &spec, std::vector<SourceText> texts = {},
               std::optional<std::string> table = {});
  DeviceKernel(const DeviceContext &context, SourceSet sources, const Spec &spec,
               std::optional<std::string> table);

  /// As Kernel's. Compiles and loads code where no launch of such extents did, which cannot be
  /// captured.
  DeviceKernelLaunch bind(const KernelViews &views, const KernelValues &values = {}) const;

private:
  DeviceContext context;
  Spec spec;
  SourceSet sources;
  std::optional<std::string> table;
  std::shared_ptr<const CompiledKernel> compiled;
};

/// One launch over the whole grid, in the stream's order. Throws as the host's `launch`.
void launch(const DeviceKernel &kernel, const KernelViews &views, const KernelValues &values,
            const CudaStream &stream);

} // namespace ringc
