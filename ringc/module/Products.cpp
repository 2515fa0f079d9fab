#include "ringc/module/Products.h"

#include "ringc/support/Error.h"

#include <algorithm>
#include <bit>

namespace ringc {

namespace {

std::string describe(const Factor &factor) {
  return ringc::describe(factor.matrix) + (factor.transposed ? " transposed" : "");
}

} // namespace

std::string describeProduct(const Factor &a, const Factor &b, const Tensor &c) {
  return describe(a) + " times " + describe(b) + " to " + ringc::describe(c);
}

void checkProduct(const Factor &a, const Factor &b, const Tensor &c) {
  bool fits = a.matrix.rank() == 2 && b.matrix.rank() == 2 && c.rank() == 2 &&
              a.columns() == b.rows() && c.dim(0) == a.rows() && c.dim(1) == b.columns() &&
              a.matrix.dtype() == b.matrix.dtype() && isFloat(a.matrix.dtype()) &&
              (c.dtype() == DType::F32 || c.dtype() == a.matrix.dtype()) &&
              !(a.transposed && b.transposed);
  if (!fits)
    throw InputError("product", describeProduct(a, b, c),
                     "[m, k] times [k, n] to [m, n], of one float type, the last f32 or of it; one "
                     "of the two may be transposed");
}

std::optional<int64_t> leadingDimension(const Tensor &matrix) {
  int64_t rows = matrix.dim(0), columns = matrix.dim(1);
  bool fits = matrix.data() && (columns <= 1 || matrix.stride(1) == 1) &&
              (rows <= 1 || matrix.stride(0) >= std::max<int64_t>(columns, 1));
  if (!fits)
    return std::nullopt;
  return rows <= 1 ? std::max<int64_t>(columns, 1) : matrix.stride(0);
}

int64_t alignmentOf(const Tensor &matrix, int64_t most) {
  uint64_t bits = reinterpret_cast<uintptr_t>(matrix.data()) | uint64_t(most);
  if (matrix.dim(0) > 1)
    bits |= uint64_t(matrix.stride(0)) * sizeOf(matrix.dtype());
  return int64_t(1) << std::countr_zero(bits);
}

} // namespace ringc
