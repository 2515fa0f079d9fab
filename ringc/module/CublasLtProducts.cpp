#include "ringc/module/CublasLtProducts.h"

#include "ringc/module/CublasLt.h"

#include <utility>

namespace ringc {

CublasLtProducts::CublasLtProducts(std::shared_ptr<CublasLt> library,
                                   std::unique_ptr<Products> ofOthers, F32Products ofF32)
    : cublas(std::move(library)), others(std::move(ofOthers)), f32(ofF32) {}

void CublasLtProducts::multiply(const Factor &a, const Factor &b, const Tensor &c) {
  checkProduct(a, b, c);
  bool isEmpty = c.empty() || a.columns() == 0; // cuBLAS has no matrix without elements
  if (isEmpty || !cublas->multiply(a, b, c, f32))
    others->multiply(a, b, c);
}

} // namespace ringc
