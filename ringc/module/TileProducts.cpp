#include "ringc/module/TileProducts.h"

#include "ringc/attention/shared/Options.h"
#include "ringc/module/ModuleKernels.h"

namespace ringc {

void TileProducts::multiply(const Factor &a, const Factor &b, const Tensor &c) {
  checkProduct(a, b, c);
  Spec spec;
  spec.kernel = a.transposed ? "matmul_at" : b.transposed ? "matmul_bt" : "matmul";
  spec.dtype = elementTypeOf(a.matrix.dtype());
  spec.f32Products = f32;
  spec.types = {{"R", elementTypeOf(c.dtype())}};
  kernels.launch(spec, {{"a", a.matrix}, {"b", b.matrix}, {"c", c}}, {});
}

} // namespace ringc
