#pragma once

#include "ringc/compiler/spec/Spec.h"
#include "ringc/module/Products.h"

#include <memory>

namespace ringc {

class CublasLt;

/// Products by cuBLASLt on a stream. Those that it has no kernel for, of strides that BLAS does not
/// know, are another's.
class CublasLtProducts final : public Products {
public:
  CublasLtProducts(std::shared_ptr<CublasLt> library, std::unique_ptr<Products> ofOthers,
                   F32Products ofF32);

  void multiply(const Factor &a, const Factor &b, const Tensor &c) override;

private:
  std::shared_ptr<CublasLt> cublas;
  std::unique_ptr<Products> others;
  F32Products f32;
};

} // namespace ringc
