#pragma once

#include "tools/ringc/AttentionFlags.h"
#include "tools/ringc/Command.h"

#include <cstdint>
#include <string>
#include <vector>

namespace ringc::cli {

/// Median times of a decode of one query an entry, "b,n,h,hkv,d[/dv]", of keys side by side and in
/// pages, and the rate at which K and V are read. Returns the exit code.
int benchDecode(const Session &session, const AttentionFlags &attention,
                const std::vector<std::string> &shapes, const std::vector<int64_t> &pageSizes,
                int64_t split, int repeats);

} // namespace ringc::cli
