#pragma once

#include "tools/ringc/AttentionFlags.h"
#include "tools/ringc/Command.h"

namespace ringc::cli {

/// Products in registers, of each form that the host has for each type. Returns the exit code.
int benchPeak(const Session &session, const AttentionFlags &flags, bool json);

} // namespace ringc::cli
