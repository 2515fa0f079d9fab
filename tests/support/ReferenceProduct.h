#pragma once

#include "ringc/module/Products.h"
#include "tests/support/ReferenceAttention.h"

#include <string>
#include <vector>

namespace ringc::reference {

/// a b in double precision.
Array product(const Factor &a, const Factor &b);

/// Random matrices of one product, as they may lie in memory.
struct ProductCase {
  enum class Form { Plain, LeftTransposed, RightTransposed };

  DType dtype = DType::F32, result = DType::F32;
  int64_t m = 1, n = 1, k = 1;
  Form form = Form::Plain;
  int64_t gap = 0;    ///< elements between rows
  int64_t offset = 0; ///< elements before the first: addresses of any alignment

  std::string name() const;
  /// How far a result may be from double precision.
  double bar() const;
};

/// All forms and types of a few extents, dense, and with gaps and offsets.
std::vector<ProductCase> productCases(const std::vector<std::array<int64_t, 3>> &extents);

/// The matrices of a case in memory of the host, and the views of copies of that memory.
struct ProductMatrices {
  explicit ProductMatrices(const ProductCase &of, unsigned seed = 1);

  Factor left(void *memory) const;
  Factor right(void *memory) const;
  Tensor result(void *memory) const;
  /// Of what `result` has, and an infinity where elements beside it have changed.
  double error(void *memory) const;

  ProductCase made;
  HostTensor a, b, c; ///< flat
};

} // namespace ringc::reference
