#pragma once

#include "tools/ringc/AttentionFlags.h"
#include "tools/ringc/WorldCommand.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace ringc::cli {

/// The command line of `ringc tune`.
struct TuneFlags {
  std::string source; ///< SPEC.json or FILE.tile; empty: a shape
  std::vector<std::string> assignments;
  std::string extents;
  std::vector<std::string> shapes;
  AttentionFlags attention;
  WorldFlags world;
  std::string pass = "both";
  std::string budget = "60s";
  std::optional<uint64_t> seed;
  std::string out;
  std::string plot; ///< a file; empty: none
  std::string show, forget;
  const CLI::Option *showOption = nullptr, *passOption = nullptr;
  bool all = false, json = false;
};

} // namespace ringc::cli
