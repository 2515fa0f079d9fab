#include "ringc/compiler/spec/Spec.h"

#include "ringc/compiler/spec/FieldsJson.h"
#include "ringc/compiler/spec/SpecJson.h"
#include "ringc/compiler/spec/Target.h"

#include <algorithm>
#include <cctype>

namespace ringc {

namespace {

bool isIdentifier(std::string_view text) {
  auto isWord = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; };
  return !text.empty() && !std::isdigit(static_cast<unsigned char>(text[0])) &&
         std::all_of(text.begin(), text.end(), isWord);
}

void requireIdentifier(const std::string &field, const std::string &value) {
  if (!isIdentifier(value))
    throw InputError(field, "\"" + value + "\"", "a name of letters, digits and _");
}

void requireUtf8(const std::string &field, const std::string &text) {
  try {
    (void)nlohmann::json(text).dump();
  } catch (const nlohmann::json::type_error &) {
    throw InputError(field + ": the name is not UTF-8");
  }
}

template <class Value>
void requireNames(const std::string &field, const std::map<std::string, Value> &values) {
  for (const auto &entry : values)
    requireIdentifier("a name in " + field, entry.first);
}

void requireFunctions(const std::string &field, const std::vector<std::string> &names) {
  for (const std::string &name : names) {
    requireUtf8(field, name);
    FunctionName split = splitFunctionName(name);
    bool hasFile = name.find(':') != std::string::npos;
    if (!isIdentifier(split.name) || (hasFile && split.file.empty()))
      throw InputError(field, "\"" + name + "\"", "a name of the library, or FILE.tile:NAME");
  }
}

/// The ranges that the list of fields gives, for specs that did not come from JSON.
void requireRanges(const Spec &spec) {
  auto check = [](const Field &field, const std::string &path, int64_t value) {
    if (value < field.low || value > field.high)
      throw InputError(path, std::to_string(value), fields_json::integerRange(field));
  };
  visitFields(spec, [&](const Field &field, const auto &member) {
    using Member = std::remove_cvref_t<decltype(member)>;
    std::string name(field.name);
    if constexpr (std::is_same_v<Member, int64_t>)
      check(field, name, member);
    if constexpr (std::is_same_v<Member, std::map<std::string, int64_t>>)
      for (const auto &[key, value] : member)
        check(field, name + "." + key, value);
  });
}

} // namespace

void validate(const Spec &spec) {
  requireIdentifier("kernel", spec.kernel);
  requireUtf8("source", spec.source);
  requireRanges(spec);
  if (spec.dtype == ElementType::I32 || spec.dtype == ElementType::Bool)
    throw InputError("dtype", enumName(spec.dtype), "f32, f16, bf16");
  requireFunctions("mask", spec.mask);
  requireFunctions("score", spec.score);
  requireNames("constants", spec.constants);
  requireNames("types", spec.types);
  requireNames("tile", spec.tile);
  requireTarget(spec.target);
}

nlohmann::json toJson(const Spec &spec) { return fields_json::write(spec); }

Spec specFromJson(const nlohmann::json &json) {
  Spec spec;
  fields_json::readFields(json, "", spec);
  validate(spec);
  return spec;
}

Spec parseSpec(std::string_view text, std::string_view name) {
  return parseFields<Spec>(text, name, [](const Spec &spec) { validate(spec); });
}

FunctionName splitFunctionName(std::string_view text) {
  size_t colon = text.rfind(':');
  if (colon == std::string_view::npos)
    return {"", std::string(text)};
  return {std::string(text.substr(0, colon)), std::string(text.substr(colon + 1))};
}

std::vector<std::string> sourceFiles(const Spec &spec) {
  std::vector<std::string> files;
  auto add = [&](std::string file) {
    if (!file.empty() && std::find(files.begin(), files.end(), file) == files.end())
      files.push_back(std::move(file));
  };
  add(spec.source);
  for (const std::string &name : spec.mask)
    add(splitFunctionName(name).file);
  for (const std::string &name : spec.score)
    add(splitFunctionName(name).file);
  return files;
}

} // namespace ringc
