#pragma once

#include "tools/ringc/Command.h"

#include <string>

namespace ringc::cli {

/// The table that is given, else the user's. Throws InputError where there is neither.
std::string tuneTableAt(const std::string &given);

/// Prints a table. An exit code.
int showTuned(const Session &session, const std::string &given);

/// Removes the entries whose key begins with `what`, or "all". Throws InputError where there is
/// none.
int forgetTuned(const Session &session, const std::string &given, const std::string &what);

} // namespace ringc::cli
