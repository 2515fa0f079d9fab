#pragma once

#include "ringc/world/World.h"
#include "tools/ringc/AttentionFlags.h"
#include "tools/ringc/Command.h"

#include <cstdint>
#include <string>
#include <vector>

namespace ringc::cli {

/// What `ringc bench --decode` is asked for.
struct DecodeBenchFlags {
  std::vector<std::string> shapes; ///< "b,n,h,hkv,d[/dv]"
  std::vector<int64_t> pageSizes;  ///< besides keys side by side
  int64_t split = 0;
  int repeats = 5;
  bool json = false;
};

/// Median times of decodes of one query an entry by the ranks of a world, each of which has some of
/// the keys; of the slowest rank each time, once the results are seen to be right; and the rate at
/// which K and V are read. Returns the exit code. All processes call it. Throws InputError for
/// flags that cannot be, before the first decode.
int benchDecode(const Session &session, World &world, const AttentionFlags &attention,
                const DecodeBenchFlags &flags);

} // namespace ringc::cli
