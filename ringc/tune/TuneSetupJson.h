#pragma once

#include "ringc/tune/TuneSetup.h"

#include <nlohmann/json_fwd.hpp>

namespace ringc {

nlohmann::json toJson(const TuneSetup &setup);
/// Of what toJson has made.
TuneSetup tuneSetupFromJson(const nlohmann::json &json);

} // namespace ringc
