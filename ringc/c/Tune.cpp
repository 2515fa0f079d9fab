#include "ringc/Env.h"
#include "ringc/attention/FieldTexts.h"
#include "ringc/c/Status.h"
#include "ringc/c/TuneOptions.h"
#include "ringc/tune/TuneAttention.h"

#include <nlohmann/json.hpp>

#include <chrono>
#include <string>
#include <vector>

namespace ringc::c {

namespace {

TuneRequest requestOf(const TuneOptions &options) {
  constexpr double longest = 7 * 24 * 3600.0;
  if (!(options.seconds > 0 && options.seconds <= longest))
    throw InputError("seconds", std::to_string(options.seconds), "above 0, at most a week");
  if (options.passes.empty())
    throw InputError("passes", "none", "forward, backward");
  return {.options = options.options,
          .shape = {options.batch, options.queryLength,
                    options.keyLength ? options.keyLength : options.queryLength},
          .passes = options.passes,
          .ranks = options.ranks,
          .threads = options.threads,
          .seed = uint64_t(options.seed)};
}

bool goesOn(ringc_tune_progress tell, void *user, const TuneProgress &progress) {
  if (!tell)
    return true;
  nlohmann::json state = {{"kernel", progress.kernel},
                          {"seen", progress.seen},
                          {"space", progress.space},
                          {"best_ratio", progress.bestRatio},
                          {"seconds_left", progress.left.count()}};
  return tell(user, state.dump().c_str()) == 0;
}

/// Puts what was found into the table, and gives it as text.
std::string kept(const TuneResult &result, const std::optional<std::string> &path) {
  std::vector<TuneEntry> found = entriesOf(result, ringc_version(), today());
  if (path && !path->empty() && !found.empty())
    TuneTable::update(*path, [&](TuneTable &table) {
      for (const TuneEntry &entry : found)
        table.put(entry);
    });
  nlohmann::json whole{{"interrupted", result.interrupted}, {"entries", nlohmann::json::array()}};
  for (const TuneEntry &entry : found)
    whole["entries"].push_back(fields_json::write(entry));
  return whole.dump(1);
}

} // namespace

} // namespace ringc::c

ringc_status ringc_tune(const char *options_json, ringc_tune_progress progress, void *user,
                        char **result_json) {
  using namespace ringc::c;
  return call([&] {
    required("result_json", result_json);
    TuneOptions options = parseTuneOptions(optionsText(options_json));
    ringc::TuneResult result = ringc::tune(
        requestOf(options), std::chrono::duration<double>(options.seconds),
        [&](const ringc::TuneProgress &state) { return goesOn(progress, user, state); });
    *result_json =
        givenText(kept(result, options.table ? options.table : tuneTablePath(ringc::Env::read())));
  });
}
