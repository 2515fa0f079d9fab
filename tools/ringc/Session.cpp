#include "tools/ringc/Command.h"

#include <iostream>
#include <string>

using namespace ringc;
using namespace ringc::cli;

void Session::say(const std::string &line) const {
  if (!quiet)
    std::cerr << line << '\n';
}

void Session::detail(const std::string &line) const {
  if (verbose && !quiet)
    std::cerr << line << '\n';
}

std::function<void(const std::string &)> Session::details() const {
  if (!verbose || quiet)
    return {};
  return [](const std::string &line) { std::cerr << line + '\n'; };
}

void cli::addCommon(CLI::App &app, Session &session) {
  app.add_flag("-q,--quiet", session.quiet, "Say nothing on stderr but errors");
  app.add_flag("-v,--verbose", session.verbose, "Say more on stderr");
  app.set_version_flag("--version", "ringc " RINGC_VERSION);
}
