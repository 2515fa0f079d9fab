#pragma once

#include "ringc/Tensor.h"

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
class Products {
public:
  virtual ~Products() = default;

  /// c = a b, summed in f32 and then rounded to c's type: f32, or that of a and b, which is one.
  /// Not both of a and b are transposed. The same bits every time. Throws InputError where
  /// extents, types or strides do not fit.
  virtual void multiply(const Factor &a, const Factor &b, const Tensor &c) = 0;
};

} // namespace ringc
