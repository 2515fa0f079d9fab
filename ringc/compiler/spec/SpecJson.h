#pragma once

#include "ringc/compiler/spec/Spec.h"
#include "ringc/compiler/spec/Target.h"
#include "ringc/compiler/spec/TileConfig.h"

#include <nlohmann/json_fwd.hpp>

namespace ringc {

/// Objects of all fields, under the names of their lists of fields, sorted.
nlohmann::json toJson(const Spec &spec);
nlohmann::json toJson(const Target &target);
nlohmann::json toJson(const TileConfig &config);

/// The inverses. Absent fields keep their default. Throws InputError on an unknown field, a wrong
/// type or a value that is not allowed, naming the field, the value and what is allowed. A Spec is
/// validated.
Spec specFromJson(const nlohmann::json &json);
Target targetFromJson(const nlohmann::json &json);
TileConfig tileConfigFromJson(const nlohmann::json &json);

} // namespace ringc
