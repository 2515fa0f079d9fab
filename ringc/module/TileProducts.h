#pragma once

#include "ringc/compiler/spec/Spec.h"
#include "ringc/module/Products.h"

namespace ringc {

class ModuleKernels;

/// Products by matmul.tile: on the host and on devices, wherever the kernels run.
class TileProducts final : public Products {
public:
  /// `kernels` outlive it.
  TileProducts(ModuleKernels &runner, F32Products ofF32) : kernels(runner), f32(ofF32) {}

  void multiply(const Factor &a, const Factor &b, const Tensor &c) override;

private:
  ModuleKernels &kernels;
  F32Products f32;
};

} // namespace ringc
