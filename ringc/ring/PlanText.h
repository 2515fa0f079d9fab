#pragma once

#include "ringc/ring/Plan.h"

#include <iosfwd>
#include <span>
#include <string>

namespace ringc {

/// A table for people: one line for each step of each rank, and the totals. Hop buffers are those
/// of ranks that do not lend keys to each other.
void writePlanTable(std::ostream &out, std::span<const Plan> plans);
std::string planTable(std::span<const Plan> plans);

/// The same as JSON: {"pass", "world", "ringSize", "layout", "schedule", "queryLength",
/// "keyLength", "ranks":
/// [{"rank", "queryRows", "steps": [...], "sentBytes", "receivedBytes", "hopBufferBytes"}]}.
/// Peers that a step does not have are null.
/// Lines but the first are indented by `indent`; the text of planJson ends with a line end.
void writePlanJson(std::ostream &out, std::span<const Plan> plans, int indent = 0);
std::string planJson(std::span<const Plan> plans);

} // namespace ringc
