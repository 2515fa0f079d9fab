#include "tools/ringc/TuneTableCommand.h"

#include "ringc/Env.h"
#include "ringc/support/Error.h"
#include "ringc/tune/TuneTable.h"
#include "tools/ringc/Numbers.h"
#include "tools/ringc/Table.h"

#include <iostream>
#include <optional>
#include <vector>

namespace ringc::cli {

std::string tuneTableAt(const std::string &given) {
  if (!given.empty())
    return given;
  if (std::optional<std::string> path = tuneTablePath(Env::read()); path && !path->empty())
    return *path;
  throw InputError("table", "none", "--out, RINGC_TUNE_TABLE, XDG_DATA_HOME or HOME being set");
}

/// The length, or of a kernel that is no attention the extents.
static std::string lengthsOf(const TuneKey &key) {
  std::string text;
  for (const auto &[name, extent] : key.extents)
    text += (text.empty() ? "" : ",") + name + "=" + std::to_string(extent);
  return text.empty() ? std::to_string(key.length) : text;
}

int showTuned(const Session &session, const std::string &given) {
  std::string path = tuneTableAt(given);
  TuneTable known =
      TuneTable::read(path, [&](const std::string &text) { std::cerr << "ringc: " + text + "\n"; });
  std::vector<std::vector<std::string>> rows = {{"key", "kernel", "chip", "dtype", "d",
                                                 "masks and scores", "length", "ranks", "sizes",
                                                 "times", "date"}};
  for (const TuneEntry &entry : known.entries()) {
    const TuneKey &key = entry.key;
    std::string functions, sizes;
    for (const auto *names : {&key.mask, &key.score})
      for (const std::string &name : *names)
        functions += (functions.empty() ? "" : "+") + name;
    for (const auto &[name, size] : entry.config.tile)
      sizes += (sizes.empty() ? "" : ",") + name + "=" + std::to_string(size);
    bool gpu = key.chip.starts_with("sm_");
    if (key.kernel.starts_with("ring"))
      sizes = "layout=" + entry.layout +
              ",schedule=" + (entry.schedule.empty() ? "auto" : entry.schedule);
    else
      sizes +=
          gpu ? ",warps=" + std::to_string(entry.config.warps) +
                    ",n_warps=" + std::to_string(entry.config.nWarps)
              : ",micro=" + std::to_string(entry.config.microRows) + "x" +
                    std::to_string(entry.config.microVectors) +
                    (entry.config.microDepth ? "x" + std::to_string(entry.config.microDepth) : "");
    rows.push_back(
        {nameOf(key), key.kernel, key.chip, std::string(enumName(key.dtype)),
         std::to_string(key.headDim) +
             (key.valueHeadDim == key.headDim ? "" : "/" + std::to_string(key.valueHeadDim)),
         functions.empty() ? "-" : functions, lengthsOf(key), std::to_string(key.ranks), sizes,
         entry.nanoseconds ? number(double(entry.defaultNanoseconds) / double(entry.nanoseconds), 4)
                           : "-",
         entry.date});
  }
  std::cout << table(rows);
  session.say(path + ": " + std::to_string(known.entries().size()) + " entries");
  return Ok;
}

int forgetTuned(const Session &session, const std::string &given, const std::string &what) {
  std::string path = tuneTableAt(given), prefix = what == "all" ? "" : what;
  int64_t gone = 0;
  auto forget = [&](TuneTable &known) { gone = known.forget(prefix); };
  TuneTable known =
      TuneTable::read(path, [](const std::string &problem) { throw InputError(problem); });
  forget(known);
  if (gone == 0 && what != "all")
    throw InputError("forget", what, "the key of an entry of " + path + ", or all");
  if (gone > 0)
    TuneTable::update(path, forget);
  session.say(path + ": " + std::to_string(gone) + " entries forgotten");
  return Ok;
}

} // namespace ringc::cli
