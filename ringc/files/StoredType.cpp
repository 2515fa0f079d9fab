#include "ringc/files/StoredType.h"

#include "ringc/support/Error.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>

namespace ringc {

namespace {

struct Row {
  StoredType type;
  std::string_view name;
  size_t bytes;
  std::optional<DType> same;
};
constexpr std::array<Row, 13> rows = {{{StoredType::F64, "float64", 8, {}},
                                       {StoredType::F32, "float32", 4, DType::F32},
                                       {StoredType::F16, "float16", 2, DType::F16},
                                       {StoredType::BF16, "bfloat16", 2, DType::BF16},
                                       {StoredType::I8, "int8", 1, {}},
                                       {StoredType::I16, "int16", 2, {}},
                                       {StoredType::I32, "int32", 4, DType::I32},
                                       {StoredType::I64, "int64", 8, DType::I64},
                                       {StoredType::U8, "uint8", 1, {}},
                                       {StoredType::U16, "uint16", 2, {}},
                                       {StoredType::U32, "uint32", 4, {}},
                                       {StoredType::U64, "uint64", 8, {}},
                                       {StoredType::Bool, "bool", 1, DType::Bool}}};

const Row &rowOf(StoredType type) {
  const Row &row = rows[size_t(type)];
  assert(row.type == type);
  return row;
}

/// The float next to `value` in the direction of zero, or that away from it whose last bit is set:
/// rounded once more, to a type of two bits less or fewer, it gives what `value` itself gives.
float roundedToOdd(double value) {
  auto near = static_cast<float>(value); // to nearest
  if (std::isnan(value) || double(near) == value)
    return near;
  auto bits = std::bit_cast<uint32_t>(near);
  if (std::abs(double(near)) > std::abs(value))
    --bits; // toward zero: infinity becomes the largest number
  return std::bit_cast<float>(bits | 1);
}

void convertF64(std::span<const std::byte> from, DType to, std::byte *into) {
  constexpr size_t block = 1024;
  std::array<float, block> floats;
  size_t count = from.size() / sizeof(double);
  for (size_t begin = 0; begin < count; begin += block) {
    size_t length = std::min(block, count - begin);
    for (size_t i = 0; i < length; ++i) {
      double value;
      std::memcpy(&value, from.data() + (begin + i) * sizeof value, sizeof value);
      floats[i] = to == DType::F32 ? static_cast<float>(value) : roundedToOdd(value);
    }
    convert(Tensor(floats.data(), DType::F32, {int64_t(length)}),
            Tensor(into + begin * sizeOf(to), to, {int64_t(length)}));
  }
}

template <typename Integer>
void convertIntegers(std::span<const std::byte> from, DType to, std::byte *into, int64_t first) {
  size_t count = from.size() / sizeof(Integer);
  for (size_t i = 0; i < count; ++i) {
    Integer value;
    std::memcpy(&value, from.data() + i * sizeof value, sizeof value);
    bool fits = to == DType::Bool ? value == 0 || value == 1 : std::in_range<int32_t>(value);
    if (!fits)
      throw InputError("element " + std::to_string(first + int64_t(i)), std::to_string(value),
                       to == DType::Bool ? "0, 1" : "integers from -2^31 to 2^31 - 1");
    if (to == DType::Bool) {
      into[i] = std::byte(value != 0);
    } else {
      auto narrow = static_cast<int32_t>(value);
      std::memcpy(into + i * sizeof narrow, &narrow, sizeof narrow);
    }
  }
}

} // namespace

std::string_view nameOf(StoredType type) { return rowOf(type).name; }
size_t sizeOf(StoredType type) { return rowOf(type).bytes; }
bool isFloat(StoredType type) { return type <= StoredType::BF16; }
std::optional<DType> sameDType(StoredType type) { return rowOf(type).same; }

StoredType storedTypeOf(DType dtype) {
  return std::ranges::find(rows, std::optional(dtype), &Row::same)->type;
}

bool canConvert(StoredType from, DType to) {
  if (sameDType(from) == to)
    return true;
  bool isInteger = !isFloat(from) && from != StoredType::Bool;
  return isFloat(to) ? isFloat(from) : isInteger && to != DType::I64;
}

void swapBytes(StoredType type, std::span<std::byte> elements) {
  size_t bytes = sizeOf(type);
  for (size_t at = 0; at + bytes <= elements.size(); at += bytes)
    std::ranges::reverse(elements.subspan(at, bytes));
}

void convertElements(StoredType type, std::span<const std::byte> from, DType to, std::byte *into,
                     int64_t first) {
  assert(canConvert(type, to) && from.size() % sizeOf(type) == 0);
  switch (type) {
  case StoredType::F64:
    return convertF64(from, to, into);
  case StoredType::F32:
  case StoredType::F16:
  case StoredType::BF16: {
    // A tensor's data is not written to by who reads it.
    void *data = const_cast<std::byte *>(from.data());
    auto count = int64_t(from.size() / sizeOf(type));
    return convert(Tensor(data, *sameDType(type), {count}), Tensor(into, to, {count}));
  }
  case StoredType::I8:
    return convertIntegers<int8_t>(from, to, into, first);
  case StoredType::I16:
    return convertIntegers<int16_t>(from, to, into, first);
  case StoredType::I32:
    return convertIntegers<int32_t>(from, to, into, first);
  case StoredType::I64:
    return convertIntegers<int64_t>(from, to, into, first);
  case StoredType::U8:
    return convertIntegers<uint8_t>(from, to, into, first);
  case StoredType::U16:
    return convertIntegers<uint16_t>(from, to, into, first);
  case StoredType::U32:
    return convertIntegers<uint32_t>(from, to, into, first);
  case StoredType::U64:
    return convertIntegers<uint64_t>(from, to, into, first);
  case StoredType::Bool:
    break;
  }
  for (size_t i = 0; i < from.size(); ++i)
    into[i] = std::byte(from[i] != std::byte(0));
}

} // namespace ringc
