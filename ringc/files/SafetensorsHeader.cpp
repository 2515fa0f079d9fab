#include "ringc/files/SafetensorsHeader.h"

#include "ringc/files/Quote.h"
#include "ringc/files/SafetensorsReader.h"
#include "ringc/support/Error.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <tuple>

namespace ringc {

namespace {

using nlohmann::json;

struct TypeName {
  std::string_view name;
  StoredType type;
};
constexpr std::array<TypeName, 13> typeNames = {{{"F64", StoredType::F64},
                                                 {"F32", StoredType::F32},
                                                 {"F16", StoredType::F16},
                                                 {"BF16", StoredType::BF16},
                                                 {"I8", StoredType::I8},
                                                 {"I16", StoredType::I16},
                                                 {"I32", StoredType::I32},
                                                 {"I64", StoredType::I64},
                                                 {"U8", StoredType::U8},
                                                 {"U16", StoredType::U16},
                                                 {"U32", StoredType::U32},
                                                 {"U64", StoredType::U64},
                                                 {"BOOL", StoredType::Bool}}};

/// Of whole-byte types; nothing for those that are smaller or unknown here.
std::optional<int64_t> bytesOfType(std::string_view type) {
  if (std::optional<StoredType> stored = storedTypeOfSafetensors(type))
    return int64_t(sizeOf(*stored));
  for (std::string_view one : {"F8_E4M3", "F8_E5M2", "F8_E8M0"})
    if (type == one)
      return 1;
  return type == "C64" ? std::optional<int64_t>(8) : std::nullopt;
}

void requireBytes(const SafetensorsEntry &entry, int64_t dataBytes) {
  auto fail = [&](const std::string &what) {
    throw InputError("tensor " + quote(entry.name) + " " + what);
  };
  std::string range = std::to_string(entry.begin) + " to " + std::to_string(entry.end);
  if (entry.begin > entry.end || entry.end > dataBytes)
    fail("claims bytes " + range + ", the file holds " + std::to_string(dataBytes));
  std::optional<int64_t> bytes = bytesOfType(entry.type);
  if (!bytes)
    return;
  bool fits = true;
  bool isEmpty = std::ranges::find(entry.shape, 0) != entry.shape.end();
  for (int64_t extent : entry.shape)
    fits = fits && !__builtin_mul_overflow(*bytes, std::max<int64_t>(extent, 1), &*bytes);
  if (!fits)
    fail("claims a shape of more than 2^63 bytes");
  if (entry.end - entry.begin != (isEmpty ? 0 : *bytes))
    fail("claims bytes " + range + ", its shape needs " + std::to_string(isEmpty ? 0 : *bytes));
}

/// Sorts them by name on the way.
template <typename Range, typename Name>
void requireEachOnce(std::vector<Range> &entries, Name Range::*name) {
  std::ranges::sort(entries, {}, name);
  auto twice = std::ranges::adjacent_find(entries, {}, name);
  if (twice != entries.end())
    throw InputError("the header names " + quote((*twice).*name) + " twice");
}

void requireNoGapAndNoOverlap(const std::vector<SafetensorsEntry> &entries, int64_t dataBytes) {
  int64_t end = 0;
  for (const SafetensorsEntry &entry : entries) {
    if (entry.begin < end)
      throw InputError("tensor " + quote(entry.name) + " overlaps another");
    if (entry.begin > end)
      throw InputError("bytes " + std::to_string(end) + " to " + std::to_string(entry.begin) +
                       " belong to no tensor");
    end = entry.end;
  }
  if (end != dataBytes)
    throw InputError("the header describes " + std::to_string(end) +
                     " bytes of data, the file holds " + std::to_string(dataBytes));
}

} // namespace

std::optional<StoredType> storedTypeOfSafetensors(std::string_view type) {
  for (const TypeName &entry : typeNames)
    if (entry.name == type)
      return entry.type;
  return std::nullopt;
}

std::string_view safetensorsTypeOf(StoredType type) {
  return std::ranges::find(typeNames, type, &TypeName::type)->name;
}

std::vector<SafetensorsEntry> parseSafetensorsHeader(std::string_view text, int64_t dataBytes,
                                                     SafetensorsMetadata *metadata) {
  if (!text.starts_with('{'))
    throw InputError("the header does not start with '{'");
  SafetensorsReader reader;
  json::sax_parse(text, &reader);
  std::vector<SafetensorsEntry> entries = std::move(reader.entries);
  for (const SafetensorsEntry &entry : entries)
    requireBytes(entry, dataBytes);
  requireEachOnce(entries, &SafetensorsEntry::name);
  std::ranges::sort(entries, {}, [](const SafetensorsEntry &entry) {
    return std::tuple(entry.begin, entry.end, std::string_view(entry.name));
  });
  requireNoGapAndNoOverlap(entries, dataBytes);
  if (metadata)
    *metadata = std::move(reader.metadata);
  return entries;
}

std::string safetensorsHeaderText(std::span<const SafetensorsEntry> entries,
                                  const SafetensorsMetadata &metadata) {
  std::vector<SafetensorsEntry> sorted;
  std::string text = "{";
  auto add = [&](const std::string &name, const nlohmann::ordered_json &value) {
    text += (text.size() > 1 ? "," : "") + json(name).dump() + ":" + value.dump();
  };
  try {
    if (!metadata.empty())
      add(std::string(safetensorsMetadataKey), metadata);
    for (const SafetensorsEntry &entry : entries) {
      if (entry.name.empty() || entry.name == safetensorsMetadataKey)
        throw InputError("tensor name", quote(entry.name),
                         "names that are not empty, not __metadata__");
      sorted.push_back({.name = entry.name, .type = {}, .shape = {}});
      add(entry.name, {{"dtype", entry.type},
                       {"shape", entry.shape},
                       {"data_offsets", {entry.begin, entry.end}}});
    }
  } catch (const json::type_error &) {
    throw InputError("tensor names must be UTF-8");
  }
  requireEachOnce(sorted, &SafetensorsEntry::name);
  text += "}";
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

} // namespace ringc
