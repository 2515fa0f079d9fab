#pragma once

#include "ringc/ring/Schedule.h"
#include "ringc/ring/SequenceLayout.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace ringc {

/// By hand, as AttentionOptions::tile has them: {"attention_forward.q", 64}.
using TileSizes = std::map<std::string, int64_t>;

/// With what a workload is run.
struct TuneSetup {
  TileSizes tile;
  std::optional<SequenceLayout> layout = {}; ///< of a ring; absent: the workload's own
  std::optional<Schedule> schedule = {};     ///< the same

  bool operator==(const TuneSetup &) const = default;
};

} // namespace ringc
