#include "ringc/module/ColumnSums.h"

#include "ringc/attention/shared/Options.h"

#include <array>

namespace ringc {

void sumOfParts(ModuleBackend &backend, const Tensor &parts, const Tensor &sums) {
  Spec spec;
  spec.kernel = "column_sums";
  spec.dtype = elementTypeOf(parts.dtype());
  backend.kernels().launch(spec, {{"x", parts}, {"sums", sums}}, {});
}

void columnSums(ModuleBackend &backend, const Tensor &x, const Tensor &sums) {
  if (x.dim(0) <= rowsOfPart)
    return sumOfParts(backend, x, sums);
  SharedTensor parts = backend.allocate(DType::F32, std::array{partsOf(x.dim(0)), x.dim(1)});
  Spec spec;
  spec.kernel = "column_sums_of_parts";
  spec.dtype = elementTypeOf(x.dtype());
  spec.constants = {{"PART", rowsOfPart}};
  backend.kernels().launch(spec, {{"x", x}, {"parts", parts}}, {});
  sumOfParts(backend, parts, sums);
}

} // namespace ringc
