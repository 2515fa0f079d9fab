#pragma once

#include "tools/ringc/AttentionFlags.h"
#include "tools/ringc/Command.h"

#include <string>
#include <vector>

namespace ringc::cli {

/// Forward and backward of the attention module of one rank, "b,n,dim,heads,dim_head", in turns
/// with its attention alone and its products alone: of the same shapes, on the same backend.
/// Returns the exit code.
int benchModule(const Session &session, const AttentionFlags &flags,
                const std::vector<std::string> &shapes, int repeats, bool json);

} // namespace ringc::cli
