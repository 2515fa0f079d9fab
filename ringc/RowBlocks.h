#pragma once

#include "ringc/Tensor.h"

#include <array>
#include <cstdint>
#include <vector>

namespace ringc {

/// Tensors of one shape, as what a copy of rows takes: `height` rows of `width` elements without
/// gaps, at the same indices of each tensor. All in elements.
///
///     K of a packed [b, n, 3, h, d], to [b, n, h, d]:  one block, b * n rows of h * d
///     [b, h, n, d], to [b, n, h, d]:                   b * h blocks, n rows of d each
struct RowBlocks {
  static constexpr int most = 2;
  struct Block {
    std::array<int64_t, most> offset{}; ///< in each tensor
  };

  int64_t width = 1;
  int64_t height = 1;
  std::array<int64_t, most> pitch{}; ///< from row to row, in each tensor; at least the width
  std::vector<Block> blocks;         ///< none where there are no elements

  /// As few blocks as can be, whatever the strides, zero and negative ones too.
  static RowBlocks of(const Tensor &a, const Tensor &b);
};

} // namespace ringc
