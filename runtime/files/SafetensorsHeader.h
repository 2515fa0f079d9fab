#pragma once

#include "runtime/files/Safetensors.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ringc {

struct SafetensorsEntry {
  std::string name;
  std::string type; ///< "BF16"; also of types that Tensor lacks
  std::vector<int64_t> shape;
  int64_t begin = 0, end = 0; ///< bytes, from the end of the header
};

std::optional<DType> dtypeOfSafetensors(std::string_view type);

/// The tensors, in the order of their data. They cover the file's `dataBytes` without gap or
/// overlap, and each has the bytes that its type and shape need. Throws InputError without a file
/// name.
std::vector<SafetensorsEntry> parseSafetensorsHeader(std::string_view json, int64_t dataBytes);

/// The header for data that lies in the order of `tensors`, padded to a multiple of eight bytes.
std::string safetensorsHeaderText(std::span<const NamedTensor> tensors);

} // namespace ringc
