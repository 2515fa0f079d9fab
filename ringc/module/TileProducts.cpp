#include "ringc/module/TileProducts.h"

#include "ringc/attention/shared/Options.h"
#include "ringc/module/ModuleKernels.h"
#include "ringc/support/Error.h"

#include <string>

namespace ringc {

namespace {

std::string describe(const Factor &factor) {
  return ringc::describe(factor.matrix) + (factor.transposed ? " transposed" : "");
}

void check(const Factor &a, const Factor &b, const Tensor &c) {
  bool fits = a.matrix.rank() == 2 && b.matrix.rank() == 2 && c.rank() == 2 &&
              a.columns() == b.rows() && c.dim(0) == a.rows() && c.dim(1) == b.columns() &&
              a.matrix.dtype() == b.matrix.dtype() && isFloat(a.matrix.dtype()) &&
              (c.dtype() == DType::F32 || c.dtype() == a.matrix.dtype()) &&
              !(a.transposed && b.transposed);
  if (!fits)
    throw InputError("product", describe(a) + " times " + describe(b) + " to " + ringc::describe(c),
                     "[m, k] times [k, n] to [m, n], of one float type, the last f32 or of it; one "
                     "of the two may be transposed");
}

} // namespace

void TileProducts::multiply(const Factor &a, const Factor &b, const Tensor &c) {
  check(a, b, c);
  Spec spec;
  spec.kernel = a.transposed ? "matmul_at" : b.transposed ? "matmul_bt" : "matmul";
  spec.dtype = elementTypeOf(a.matrix.dtype());
  spec.f32Products = f32;
  spec.types = {{"R", elementTypeOf(c.dtype())}};
  kernels.launch(spec, {{"a", a.matrix}, {"b", b.matrix}, {"c", c}}, {});
}

} // namespace ringc
