#include "ringc/compiler/spec/FieldsJson.h"
#include "ringc/compiler/spec/Spec.h"
#include "ringc/compiler/spec/Target.h"

#include <charconv>

namespace ringc {

namespace {

using nlohmann::json;

std::vector<std::string_view> splitAtCommas(std::string_view text) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    size_t comma = text.find(',');
    parts.push_back(text.substr(0, comma));
    text = comma == std::string_view::npos ? "" : text.substr(comma + 1);
  }
  return parts;
}

/// Text as the JSON that the field's type reads; text of no integer stays a string, and is then
/// refused as such.
json scalar(std::string_view text, bool isInteger) {
  int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (isInteger && error == std::errc() && end == text.data() + text.size())
    return value;
  return std::string(text);
}

template <class Value> json valueJson(std::string_view text, const Value *) {
  return scalar(text, std::is_integral_v<Value>);
}
template <class Value> json valueJson(std::string_view text, const std::vector<Value> *) {
  json array = json::array();
  for (std::string_view part : splitAtCommas(text))
    array.push_back(valueJson(part, static_cast<const Value *>(nullptr)));
  return array;
}
template <class Value> json valueJson(std::string_view text, const std::map<std::string, Value> *) {
  json object = json::object();
  for (std::string_view part : splitAtCommas(text)) {
    size_t equals = part.find('=');
    if (equals == std::string_view::npos)
      return std::string(text);
    object[std::string(part.substr(0, equals))] =
        valueJson(part.substr(equals + 1), static_cast<const Value *>(nullptr));
  }
  return object;
}

/// Sets one entry of a map field; false where the field is no map.
template <class Value> bool setEntry(Value &, const Field &, std::string_view, std::string_view) {
  return false;
}
template <class Value>
bool setEntry(std::map<std::string, Value> &map, const Field &field, std::string_view key,
              std::string_view text) {
  Value value{};
  fields_json::read(valueJson(text, static_cast<const Value *>(nullptr)), field,
                    std::string(field.name) + "." + std::string(key), value);
  map[std::string(key)] = value;
  return true;
}

} // namespace

void set(Spec &spec, std::string_view assignment) {
  size_t equals = assignment.find('=');
  if (equals == std::string_view::npos || equals == 0)
    throw InputError("--set", assignment, "FIELD=VALUE");
  std::string_view path = assignment.substr(0, equals), text = assignment.substr(equals + 1);
  std::string_view name = path.substr(0, path.find('.'));
  bool isFound = false;
  std::vector<std::string_view> names;
  visitFields(spec, [&](const Field &field, auto &member) {
    names.push_back(field.name);
    if (field.name != name)
      return;
    isFound = true;
    if (name == path) {
      fields_json::read(valueJson(text, &member), field, std::string(name), member);
      return;
    }
    if (!setEntry(member, field, path.substr(name.size() + 1), text))
      throw InputError("--set", assignment, std::string(name) + "=VALUE");
  });
  if (!isFound)
    throw InputError("--set: unknown field \"" + std::string(name) + "\"" +
                     didYouMean(name, names));
}

std::string describeSpec() {
  std::string text;
  const Spec defaults;
  visitFields(defaults, [&](const Field &field, const auto &member) {
    using Member = std::remove_cvref_t<decltype(member)>;
    std::string line(field.name);
    line.resize(std::max<size_t>(line.size() + 2, 16), ' ');
    line += std::string(field.documentation);
    if constexpr (std::is_same_v<Member, int64_t>)
      line += "; " + fields_json::integerRange(field);
    else if constexpr (std::is_same_v<Member, ElementType>)
      line += "; f32, f16, bf16";
    else if constexpr (std::is_enum_v<Member>)
      line += "; " + enumNames<Member>();
    else if (field.name == "target")
      line += "; " + availableTargets();
    text += line + " (" + fields_json::write(member).dump() + ")\n";
  });
  return text;
}

} // namespace ringc
