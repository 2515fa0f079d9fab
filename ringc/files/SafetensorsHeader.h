#pragma once

#include "ringc/files/StoredType.h"

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ringc {

struct SafetensorsEntry {
  std::string name;
  std::string type; ///< "BF16"; also of types that are not read
  std::vector<int64_t> shape;
  int64_t begin = 0, end = 0; ///< bytes, from the end of the header
};

/// What a file says of itself besides its tensors.
using SafetensorsMetadata = std::map<std::string, std::string>;

std::optional<StoredType> storedTypeOfSafetensors(std::string_view type);
/// "F32", ...
std::string_view safetensorsTypeOf(StoredType type);

/// The tensors, in the order of their data. They cover the file's `dataBytes` without gap or
/// overlap, and each has the bytes that its type and shape need. Time and memory are linear in the
/// text, but for sorting. Throws InputError without a file name.
std::vector<SafetensorsEntry> parseSafetensorsHeader(std::string_view json, int64_t dataBytes,
                                                     SafetensorsMetadata *metadata = nullptr);

/// The header for these tensors, padded to a multiple of eight bytes. Throws InputError where a
/// name occurs twice, is empty, reserved, or not UTF-8.
std::string safetensorsHeaderText(std::span<const SafetensorsEntry> entries,
                                  const SafetensorsMetadata &metadata);

} // namespace ringc
