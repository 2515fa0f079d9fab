#include "tools/ringc/CommandAgreement.h"

#include "ringc/attention/shared/CallAgreement.h"

#include <algorithm>
#include <array>
#include <string>

namespace ringc::cli {

namespace {

/// As they are added: "F", "FILE", "FILE.tile:NAME", "NAME=VALUE|FILE".
bool namesFile(const CLI::Option &option) {
  const std::string type = option.get_type_name();
  return type == "F" || type.find("FILE") != type.npos;
}

bool mayDiffer(const std::string &name) {
  constexpr std::array<std::string_view, 7> own = {
      "--threads", "--devices", "--deadline", "--quiet", "--verbose", "--color", "--help"};
  return std::ranges::find(own, name) != own.end();
}

} // namespace

Agreement agreementOf(const CLI::App &command, std::string_view compilerBuild) {
  Agreement made;
  made.add("ringc", buildText(compilerBuild)).add("command", command.get_name());
  for (const CLI::Option *option : command.get_options()) {
    std::string name = option->get_name();
    // A trace is gathered from all.
    bool isTrace = name == "--trace";
    if (mayDiffer(name) || (namesFile(*option) && !isTrace))
      continue;
    std::string value;
    for (const std::string &each : option->results())
      value += (value.empty() ? "" : " ") + each;
    made.add(name, option->count() == 0 ? "not given" : isTrace ? "given" : std::move(value));
  }
  return made;
}

} // namespace ringc::cli
