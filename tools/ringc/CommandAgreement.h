#pragma once

#include "ringc/ring/Agreement.h"

#include <CLI/CLI.hpp>

#include <string_view>

namespace ringc::cli {

/// What the command lines of a world's processes must have in common: the command, this version of
/// ringc, and all options but those that name files, whose contents are compared later, and what
/// may be another on each host (--threads, --devices, --deadline, how much is said).
Agreement agreementOf(const CLI::App &command, std::string_view compilerBuild);

} // namespace ringc::cli
