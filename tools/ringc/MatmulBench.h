#pragma once

#include "tools/ringc/AttentionFlags.h"
#include "tools/ringc/Command.h"

#include <string>
#include <vector>

namespace ringc::cli {

/// Products "m,n,k" of the module's three forms by matmul.tile ("ringc"), by whatever a module
/// takes
/// ("module"), by oneDNN and OpenBLAS, in turns on the host. Returns the exit code.
int benchMatmul(const Session &session, const AttentionFlags &flags,
                const std::vector<std::string> &shapes, int repeats, bool json);

} // namespace ringc::cli
