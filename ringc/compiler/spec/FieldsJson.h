#pragma once

#include "ringc/compiler/predicate/ExpressionJson.h"
#include "ringc/compiler/spec/Fields.h"
#include "ringc/compiler/spec/JsonText.h"
#include "ringc/support/EnumNames.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace ringc {

/// How a type that JSON has as text is written and read. A specialisation holds
///     static std::string text(const Value &value);
///     static Value parse(std::string_view field, std::string_view text); // throws InputError
///     static std::string allowed();
template <class Value> struct FieldText;

template <class Value>
concept HasFieldText = requires { sizeof(FieldText<Value>); };

/// JSON of structs with a list of fields (Fields.h) and of what they are made of: strings, numbers,
/// bools, enums by name, what has a FieldText, vectors, maps from strings, optionals (null is
/// absent), and expressions. Objects come out sorted by name, so equal values give equal text.
/// Reading throws InputError naming the field by its path ("tile.q"), its value and what is
/// allowed; a field that is absent keeps its default.
namespace fields_json {

using nlohmann::json;

inline std::string shortened(const json &value) {
  std::string dumped = value.dump(-1, ' ', false, json::error_handler_t::replace);
  return dumped.size() > 60 ? dumped.substr(0, 57) + "..." : dumped;
}

[[noreturn]] inline void reject(const std::string &path, const json &value,
                                std::string_view allowed) {
  throw InputError(path, shortened(value), allowed);
}

inline std::string integerRange(const Field &field) {
  constexpr Field unbounded = {};
  if (field.low == unbounded.low && field.high == unbounded.high)
    return "an integer";
  if (field.high == unbounded.high)
    return "an integer of at least " + std::to_string(field.low);
  return "an integer from " + std::to_string(field.low) + " to " + std::to_string(field.high);
}

template <class Value> json write(const Value &value);
template <class Value> json write(const std::optional<Value> &value);

inline json write(const std::string &value) { return value; }
inline json write(const predicate::Expression &value) { return predicate::toJson(value); }
template <class Value> json write(const std::vector<Value> &values) {
  json array = json::array();
  for (const Value &value : values)
    array.push_back(write(value));
  return array;
}
template <class Value> json write(const std::map<std::string, Value> &values) {
  json object = json::object();
  for (const auto &[name, value] : values)
    object[name] = write(value);
  return object;
}
template <class Value> json write(const std::optional<Value> &value) {
  return value ? write(*value) : json();
}
template <class Value> json write(const Value &value) {
  if constexpr (HasFields<const Value>) {
    json object = json::object();
    visitFields(value, [&](const Field &field, const auto &member) {
      object[std::string(field.name)] = write(member);
    });
    return object;
  } else if constexpr (HasFieldText<Value>) {
    return FieldText<Value>::text(value);
  } else if constexpr (std::is_enum_v<Value>) {
    return enumName(value);
  } else {
    static_assert(std::is_arithmetic_v<Value>);
    return value;
  }
}

template <class Value>
void read(const json &from, const Field &field, const std::string &path, Value &value);
template <class Value>
void read(const json &from, const Field &field, const std::string &path,
          std::optional<Value> &value);

inline void read(const json &from, const Field &, const std::string &path, std::string &value) {
  if (!from.is_string())
    reject(path, from, "a string");
  value = from.get<std::string>();
}
inline void read(const json &from, const Field &, const std::string &,
                 predicate::Expression &value) {
  value = predicate::expressionFromJson(from);
}
template <class Value>
void read(const json &from, const Field &field, const std::string &path,
          std::vector<Value> &values) {
  if (!from.is_array())
    reject(path, from, "an array");
  values.clear();
  for (const json &element : from) {
    std::string index = std::to_string(values.size());
    read(element, field, path + "[" + index + "]", values.emplace_back());
  }
}
template <class Value>
void read(const json &from, const Field &field, const std::string &path,
          std::map<std::string, Value> &values) {
  if (!from.is_object())
    reject(path, from, "an object");
  values.clear();
  for (const auto &[name, element] : from.items())
    read(element, field, path + "." + name, values[name]);
}
inline void read(const json &from, const Field &, const std::string &,
                 std::optional<predicate::Expression> &value) {
  value.reset();
  if (!from.is_null())
    value = predicate::expressionFromJson(from);
}
template <class Value>
void read(const json &from, const Field &field, const std::string &path,
          std::optional<Value> &value) {
  value.reset();
  if (!from.is_null())
    read(from, field, path, value.emplace());
}
template <class Struct> void readFields(const json &from, const std::string &path, Struct &value) {
  if (!from.is_object())
    reject(path.empty() ? "JSON" : path, from, "an object");
  std::vector<std::string_view> names;
  visitFields(value, [&](const Field &field, const auto &) { names.push_back(field.name); });
  for (const auto &[name, element] : from.items())
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      std::string allowed;
      for (std::string_view known : names)
        allowed += (allowed.empty() ? "" : ", ") + std::string(known);
      throw InputError((path.empty() ? "" : path + ": ") + "unknown field \"" + name + "\"" +
                       ", allowed: " + allowed + didYouMean(name, names));
    }
  visitFields(value, [&](const Field &field, auto &member) {
    auto found = from.find(std::string(field.name));
    if (found != from.end())
      read(*found, field, (path.empty() ? "" : path + ".") + std::string(field.name), member);
  });
}
template <class Value>
void read(const json &from, const Field &field, const std::string &path, Value &value) {
  if constexpr (HasFields<Value>) {
    readFields(from, path, value);
  } else if constexpr (HasFieldText<Value>) {
    if (!from.is_string())
      reject(path, from, FieldText<Value>::allowed());
    value = FieldText<Value>::parse(path, from.get<std::string>());
  } else if constexpr (std::is_enum_v<Value>) {
    if (!from.is_string())
      reject(path, from, enumNames<Value>());
    value = parseEnum<Value>(path, from.get<std::string>());
  } else if constexpr (std::is_same_v<Value, bool>) {
    if (!from.is_boolean())
      reject(path, from, "true, false");
    value = from.get<bool>();
  } else if constexpr (std::is_floating_point_v<Value>) {
    if (!from.is_number())
      reject(path, from, "a number");
    value = static_cast<Value>(from.get<double>());
  } else {
    static_assert(std::is_integral_v<Value>);
    static_assert(sizeof(Value) <= sizeof(int64_t) && std::is_signed_v<Value>);
    using Limits = std::numeric_limits<Value>;
    // Unsigned JSON beyond int64_t would turn negative.
    bool fits = from.is_number_integer() &&
                (!from.is_number_unsigned() || from.get<uint64_t>() <= uint64_t(Limits::max()));
    int64_t integer = fits ? from.get<int64_t>() : 0;
    if (!fits || integer < std::max<int64_t>(field.low, Limits::min()) || integer > field.high)
      reject(path, from, integerRange(field));
    value = static_cast<Value>(integer);
  }
}

} // namespace fields_json

/// A struct from JSON text, called `name` in messages, and then by `check`. Throws InputError:
/// `name:line:column: ...` where it is no JSON, `name: field: ...` on an unknown field, a wrong
/// type or a value that is not allowed. Absent fields keep their default.
template <HasFields Struct, class Check>
Struct parseFields(std::string_view text, std::string_view name, Check &&check) {
  nlohmann::json json = parseJsonText(text, name);
  try {
    Struct value;
    fields_json::readFields(json, "", value);
    check(std::as_const(value));
    return value;
  } catch (const InputError &error) {
    throw InputError(std::string(name) + ": " + error.what());
  }
}

} // namespace ringc
