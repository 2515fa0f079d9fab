#pragma once

#include "ringc/compiler/spec/KernelRequest.h"
#include "ringc/driver/CudaMemory.h"
#include "ringc/tune/Roofline.h"
#include "tools/ringc/KernelData.h"

#include <memory>
#include <vector>

namespace ringc::cli {

/// Data where a kernel runs.
struct PlacedData {
  KernelData data;
  std::vector<DeviceMemory> onDevice;
};

/// Where kernels that are no attention are compiled for and run: the host, or a device.
class KernelPlace {
public:
  virtual ~KernelPlace() = default;

  /// Any thread may. Throws InputError where it cannot be.
  virtual void compile(const Spec &spec) = 0;
  /// What a thread keeps outside its registers; 0 on a host.
  virtual int64_t spilledBytes(const Spec &) { return 0; }
  virtual PlacedData put(const KernelData &data) = 0;
  /// `times` launches over the whole grid, one after another; milliseconds of all.
  virtual double run(const Spec &spec, const PlacedData &placed, int times) = 0;
  /// Copies a view's memory to the same view of `host`.
  virtual void get(const Tensor &view, const Tensor &host) = 0;
  /// What it does at most, with products of a type.
  virtual MachinePeak peak(DType dtype, F32Products f32Products) = 0;
};

std::unique_ptr<KernelPlace> hostPlace(const SourceSet &sources, int threads);
/// The first device. Throws CudaError where there is none.
std::unique_ptr<KernelPlace> devicePlace(const SourceSet &sources);

} // namespace ringc::cli
