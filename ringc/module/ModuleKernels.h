#pragma once

#include "ringc/compiler/spec/Spec.h"
#include "ringc/kernel/Arguments.h"

namespace ringc {

/// Kernels of the library, launched by name one after another: on the host, or in the order of a
/// stream. Tile sizes are tuned ones, or the compiler's.
class ModuleKernels {
public:
  virtual ~ModuleKernels() = default;

  /// Compiles where that was not done yet. Throws as ringc's `launch`.
  virtual void launch(const Spec &spec, const KernelViews &views, const KernelValues &values) = 0;
};

} // namespace ringc
