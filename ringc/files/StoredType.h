#pragma once

#include "ringc/Tensor.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace ringc {

/// What files hold: the types of Tensor, and those that are converted on load.
enum class StoredType : uint8_t { F64, F32, F16, BF16, I8, I16, I32, I64, U8, U16, U32, U64, Bool };

/// "float64", "bfloat16", "uint8", ...: as numpy and torch say.
std::string_view nameOf(StoredType type);
size_t sizeOf(StoredType type);
bool isFloat(StoredType type);

/// The type of Tensor that has the same elements.
std::optional<DType> sameDType(StoredType type);
StoredType storedTypeOf(DType dtype);

/// Whether `convertElements` can make `to` of `from`: a float of any float, rounded to nearest
/// even; i32 of any integer; bool of integers that are 0 or 1; and the same of the same.
bool canConvert(StoredType from, DType to);

/// Turns around the bytes of each element.
void swapBytes(StoredType type, std::span<std::byte> elements);

/// Little-endian elements of a file as those of a tensor; `from` holds whole elements, the first of
/// which is number `first` of its tensor. Throws InputError, naming it, for an element that `to`
/// does not hold.
void convertElements(StoredType type, std::span<const std::byte> from, DType to, std::byte *into,
                     int64_t first);

} // namespace ringc
