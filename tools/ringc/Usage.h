#pragma once

#include <CLI/CLI.hpp>

#include <string>

namespace ringc::cli {

/// Makes an empty value of any option of `app` and its commands a usage error: commands take an
/// empty string for an option that is absent.
void refuseEmptyValues(CLI::App &app);

/// What is wrong with the command line, and what was probably meant; for App::failure_message.
std::string usageMessage(const CLI::App *app, const CLI::Error &error);

} // namespace ringc::cli
