#include "runtime/files/SafetensorsHeader.h"

#include "runtime/Error.h"
#include "runtime/files/Quote.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

namespace ringc {

namespace {

using nlohmann::json;

constexpr std::string_view metadataKey = "__metadata__";

struct TypeName {
  std::string_view name;
  DType dtype;
};
constexpr std::array<TypeName, 6> typeNames = {{{"F32", DType::F32},
                                                {"F16", DType::F16},
                                                {"BF16", DType::BF16},
                                                {"I32", DType::I32},
                                                {"I64", DType::I64},
                                                {"BOOL", DType::Bool}}};

/// Of whole-byte types; nothing for those that are smaller or unknown here.
std::optional<int64_t> bytesOfType(std::string_view type) {
  if (std::optional<DType> dtype = dtypeOfSafetensors(type))
    return int64_t(sizeOf(*dtype));
  for (std::string_view one : {"U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0"})
    if (type == one)
      return 1;
  for (std::string_view two : {"U16", "I16"})
    if (type == two)
      return 2;
  if (type == "U32")
    return 4;
  for (std::string_view eight : {"F64", "U64", "C64"})
    if (type == eight)
      return 8;
  return std::nullopt;
}

json parseObject(std::string_view text) {
  std::set<std::string> names, keys;
  std::optional<std::string> twice;
  auto onEvent = [&](int depth, json::parse_event_t event, json &parsed) {
    if (event == json::parse_event_t::object_start && depth == 1)
      keys.clear();
    if (event == json::parse_event_t::key && depth <= 2) {
      std::set<std::string> &seen = depth == 1 ? names : keys;
      if (!seen.insert(parsed.get<std::string>()).second)
        twice = parsed.get<std::string>();
    }
    return true;
  };
  if (!text.starts_with('{'))
    throw InputError("the header does not start with '{'");
  json object;
  try {
    object = json::parse(text, onEvent);
  } catch (const json::parse_error &error) {
    throw InputError("the header is not JSON, at its byte " + std::to_string(error.byte));
  } catch (const json::exception &) {
    throw InputError("the header is not JSON that can be held");
  }
  if (twice)
    throw InputError("the header names " + quote(*twice) + " twice");
  return object;
}

std::optional<std::vector<int64_t>> sizesOf(const json &array) {
  if (!array.is_array())
    return std::nullopt;
  std::vector<int64_t> sizes;
  for (const json &size : array) {
    if (!size.is_number_unsigned() || size.get<uint64_t>() > uint64_t(INT64_MAX))
      return std::nullopt;
    sizes.push_back(int64_t(size.get<uint64_t>()));
  }
  return sizes;
}

SafetensorsEntry entryOf(const std::string &name, const json &value, int64_t dataBytes) {
  auto fail = [&](const std::string &what) {
    throw InputError("tensor " + quote(name) + " " + what);
  };
  if (!value.is_object() || !value.contains("dtype") || !value["dtype"].is_string())
    fail("has no dtype");
  std::optional<std::vector<int64_t>> shape, offsets;
  if (value.contains("shape"))
    shape = sizesOf(value["shape"]);
  if (!shape)
    fail("has no shape: a list of integers from 0 to 2^63 - 1");
  if (value.contains("data_offsets"))
    offsets = sizesOf(value["data_offsets"]);
  if (!offsets || offsets->size() != 2)
    fail("has no data_offsets: two integers from 0 to 2^63 - 1");

  SafetensorsEntry entry{.name = name,
                         .type = value["dtype"].get<std::string>(),
                         .shape = *shape,
                         .begin = offsets->front(),
                         .end = offsets->back()};
  std::string range = std::to_string(entry.begin) + " to " + std::to_string(entry.end);
  if (entry.begin > entry.end || entry.end > dataBytes)
    fail("claims bytes " + range + ", the file holds " + std::to_string(dataBytes));
  if (std::optional<int64_t> bytes = bytesOfType(entry.type)) {
    bool fits = true;
    bool isEmpty = std::ranges::find(entry.shape, 0) != entry.shape.end();
    for (int64_t extent : entry.shape)
      fits = fits && !__builtin_mul_overflow(*bytes, std::max<int64_t>(extent, 1), &*bytes);
    if (!fits)
      fail("claims a shape of more than 2^63 bytes");
    if (entry.end - entry.begin != (isEmpty ? 0 : *bytes))
      fail("claims bytes " + range + ", its shape needs " + std::to_string(isEmpty ? 0 : *bytes));
  }
  return entry;
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

std::optional<DType> dtypeOfSafetensors(std::string_view type) {
  for (const TypeName &entry : typeNames)
    if (entry.name == type)
      return entry.dtype;
  return std::nullopt;
}

std::vector<SafetensorsEntry> parseSafetensorsHeader(std::string_view text, int64_t dataBytes) {
  std::vector<SafetensorsEntry> entries;
  json object = parseObject(text);
  for (const auto &[name, value] : object.items())
    if (name != metadataKey)
      entries.push_back(entryOf(name, value, dataBytes));
  std::ranges::sort(entries, {}, [](const SafetensorsEntry &entry) {
    return std::tuple(entry.begin, entry.end, std::string_view(entry.name));
  });
  requireNoGapAndNoOverlap(entries, dataBytes);
  return entries;
}

std::string safetensorsHeaderText(std::span<const NamedTensor> tensors) {
  nlohmann::ordered_json object = nlohmann::ordered_json::object();
  int64_t begin = 0;
  for (const auto &[name, tensor] : tensors) {
    if (name.empty() || name == metadataKey || object.contains(name))
      throw InputError("tensor name", quote(name),
                       "names that are not empty, not __metadata__, and all different");
    std::string_view type;
    for (const TypeName &entry : typeNames)
      if (entry.dtype == tensor.dtype())
        type = entry.name;
    int64_t end = begin + tensor.byteCount();
    object[name] = {{"dtype", type},
                    {"shape", std::vector(tensor.shape().begin(), tensor.shape().end())},
                    {"data_offsets", {begin, end}}};
    begin = end;
  }
  std::string text;
  try {
    text = object.dump();
  } catch (const nlohmann::json::type_error &) {
    throw InputError("tensor names must be UTF-8");
  }
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

} // namespace ringc
