#pragma once

#include "ringc/Tensor.h"

#include <functional>
#include <string>
#include <vector>

namespace ringc {

/// What is made of the elements of a file.
struct ReadOptions {
  /// The first of these that can be made of what is stored. A float type: other floats are rounded
  /// to it, to nearest even. I32: integers of any width, which must fit in one. Bool: integers,
  /// which must be 0 or 1. Where none can, it stays as it is; what Tensor has no type for is
  /// refused.
  std::vector<DType> as = {};

  /// Hears what was taken for granted: a type without a name.
  std::function<void(const std::string &)> note = {};
};

} // namespace ringc
