#include "ringc/tune/TuneSetupJson.h"

#include "ringc/support/EnumNames.h"

#include <nlohmann/json.hpp>

namespace ringc {

nlohmann::json toJson(const TuneSetup &setup) {
  nlohmann::json json{{"tile", setup.tile}};
  if (setup.layout)
    json["layout"] = nameOf(*setup.layout);
  if (setup.schedule)
    json["schedule"] = nameOf(*setup.schedule);
  return json;
}

TuneSetup tuneSetupFromJson(const nlohmann::json &json) {
  TuneSetup setup{.tile = json.at("tile").get<TileSizes>()};
  if (json.contains("layout"))
    setup.layout = parseLayout(json["layout"].get<std::string>());
  if (json.contains("schedule"))
    setup.schedule = parseSchedule(json["schedule"].get<std::string>());
  return setup;
}

} // namespace ringc
