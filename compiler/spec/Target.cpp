#include "compiler/spec/Target.h"

#include "compiler/spec/FieldsJson.h"
#include "compiler/spec/SpecJson.h"

#include <array>

namespace ringc {

static constexpr std::array<std::string_view, 2> targets = {"cpu", "native"};

nlohmann::json toJson(const Target &target) { return fields_json::write(target); }

Target targetFromJson(const nlohmann::json &json) {
  Target target;
  fields_json::readFields(json, "target", target);
  return target;
}

std::string availableTargets() {
  std::string all;
  for (std::string_view target : targets)
    all.append(all.empty() ? "" : ", ").append(target);
  return all;
}

void requireTarget(std::string_view name) {
  if (std::find(targets.begin(), targets.end(), name) == targets.end())
    throw InputError("target", "\"" + std::string(name) + "\"",
                     availableTargets() + " (this build has no other)");
}

} // namespace ringc
