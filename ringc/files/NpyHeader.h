#pragma once

#include "ringc/Tensor.h"
#include "ringc/files/StoredType.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ringc {

struct NpyHeader {
  StoredType type = StoredType::F32;
  bool bigEndian = false;
  bool isNameless = false; ///< V2, two bytes without a name: what ml_dtypes' bfloat16 is saved as
  bool fortranOrder = false;
  std::vector<int64_t> shape; ///< none negative, at most Tensor::maxRank
};

/// Parses the Python dictionary of a .npy header. Throws InputError without a file name.
NpyHeader parseNpyHeader(std::string_view text);

/// The dictionary, without padding. No bf16.
std::string npyHeaderText(DType dtype, std::span<const int64_t> shape);

} // namespace ringc
