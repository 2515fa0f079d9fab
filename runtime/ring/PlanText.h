#pragma once

#include "runtime/ring/Plan.h"

#include <span>
#include <string>

namespace ringc {

/// A table for people: one line for each step of each rank, and the totals. Hop buffers are those
/// of ranks that do not lend keys to each other.
std::string planTable(std::span<const Plan> plans);

/// The same as JSON: {"pass", "world", "ringSize", "layout", "schedule", "queryLength",
/// "keyLength", "ranks":
/// [{"rank", "queryRows", "steps": [...], "sentBytes", "receivedBytes", "hopBufferBytes"}]}.
/// Peers that a step does not have are null.
std::string planJson(std::span<const Plan> plans);

} // namespace ringc
