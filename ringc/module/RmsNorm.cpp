#include "ringc/module/RmsNorm.h"

#include "ringc/attention/shared/Options.h"
#include "ringc/module/ColumnSums.h"

#include <array>
#include <cmath>

namespace ringc {

namespace {

Spec specOf(const char *kernel, DType dtype) {
  Spec spec;
  spec.kernel = kernel;
  spec.dtype = elementTypeOf(dtype);
  return spec;
}

double rootOf(const Tensor &x) { return std::sqrt(double(x.dim(1))); }

} // namespace

RmsNorm::Forward RmsNorm::forward(const Tensor &x, const Tensor &gamma) {
  Forward made{backend.allocate(x.dtype(), x.shape()),
               backend.allocate(DType::F32, std::array{x.dim(0)})};
  backend.kernels().launch(specOf("rms_norm", x.dtype()),
                           {{"x", x}, {"gamma", gamma}, {"y", made.y}, {"factor", made.factor}},
                           {{"root", rootOf(x)}});
  return made;
}

RmsNorm::Backward RmsNorm::backward(const Tensor &x, const Tensor &gamma, const Tensor &factor,
                                    const Tensor &dy) {
  Backward made{backend.allocate(x.dtype(), x.shape()),
                backend.allocate(DType::F32, std::array{int64_t(1), x.dim(1)})};
  SharedTensor partial = backend.allocate(DType::F32, std::array{partsOf(x.dim(0)), x.dim(1)});
  backend.kernels().launch(
      specOf("rms_norm_backward", x.dtype()),
      {{"x", x}, {"gamma", gamma}, {"factor", factor}, {"dy", dy}, {"dx", made.dx}},
      {{"root", rootOf(x)}});
  Spec inParts = specOf("rms_norm_backward_gamma", x.dtype());
  inParts.constants = {{"PART", rowsOfPart}};
  backend.kernels().launch(inParts, {{"x", x}, {"factor", factor}, {"dy", dy}, {"parts", partial}},
                           {});
  sumOfParts(backend, partial, made.dgamma);
  return made;
}

} // namespace ringc
