#pragma once

#include "ringc/c/Status.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string>

namespace ringc::c {

/// What the user's struct, which begins with its own size, says: one of an older header has fewer
/// fields, and those of a newer one must be 0. Throws InputError.
template <class Struct>
Struct readStruct(std::string_view argument, const Struct *given,
                  size_t leastSize = sizeof(Struct)) {
  size_t size = required(argument, given)->size;
  if (size < leastSize)
    throw InputError("size of " + std::string(argument), std::to_string(size),
                     "sizeof, " + std::to_string(sizeof(Struct)));
  Struct read{};
  std::memcpy(&read, given, std::min(size, sizeof read));
  const auto *bytes = reinterpret_cast<const unsigned char *>(given);
  if (size > sizeof read &&
      std::any_of(bytes + sizeof read, bytes + size, [](unsigned char byte) { return byte != 0; }))
    throw InputError(std::string(argument) +
                     ": has fields that this version of ringc does not know");
  return read;
}

} // namespace ringc::c
