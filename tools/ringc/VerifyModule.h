#pragma once

#include "tools/ringc/Command.h"
#include "tools/ringc/VerifyFlags.h"

namespace ringc::cli {

/// The module, forward and backward, on random input: results and all gradients of every rank
/// against double precision. Prints a table. Throws InputError for flags that cannot be.
int verifyModule(const Session &session, World &world, const VerifyFlags &flags);

} // namespace ringc::cli
