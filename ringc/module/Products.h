#pragma once

#include "ringc/Tensor.h"

#include <optional>
#include <string>

namespace ringc {

/// A matrix, or its transpose: which of the two the product takes.
struct Factor {
  Tensor matrix; ///< two axes, the last with stride 1
  bool transposed = false;

  int64_t rows() const { return matrix.dim(transposed ? 1 : 0); }
  int64_t columns() const { return matrix.dim(transposed ? 0 : 1); }
};

inline Factor transposed(const Tensor &matrix) { return {matrix, true}; }

/// The seam to whatever multiplies matrices: kernels of the library, or a library of the vendor's.
/// Which one, ProductsChoice says.
class Products {
public:
  virtual ~Products() = default;

  /// c = a b, summed in f32 and then rounded to c's type: f32, or that of a and b, which is one.
  /// Not both of a and b are transposed. The same bits every time. Throws InputError where
  /// extents, types or strides do not fit.
  virtual void multiply(const Factor &a, const Factor &b, const Tensor &c) = 0;
};

/// What all implementations refuse: throws InputError where extents or types do not fit.
void checkProduct(const Factor &a, const Factor &b, const Tensor &c);

/// "f32[3, 4] transposed times f32[3, 6] to f32[4, 6]"
std::string describeProduct(const Factor &a, const Factor &b, const Tensor &c);

/// From row to row of a matrix as BLAS has them, in elements: at least a row's length. Nothing
/// where columns have gaps, or rows overlap, run backwards or lie nowhere.
std::optional<int64_t> leadingDimension(const Tensor &matrix);

/// The largest power of two, of `most` at most, that divides a matrix's address and the bytes from
/// row to row.
int64_t alignmentOf(const Tensor &matrix, int64_t most);

} // namespace ringc
