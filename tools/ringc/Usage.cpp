#include "tools/ringc/Usage.h"

#include "ringc/support/ClosestName.h"

#include <algorithm>
#include <string_view>
#include <vector>

namespace ringc::cli {

namespace {

/// The innermost command that was named.
const CLI::App &namedCommand(const CLI::App &app) {
  const CLI::App *command = &app;
  while (!command->get_subcommands().empty())
    command = command->get_subcommands().back();
  return *command;
}

std::string called(const CLI::App &command) {
  std::string name = command.get_name();
  for (const CLI::App *parent = command.get_parent(); parent; parent = parent->get_parent())
    name = parent->get_name() + " " + name;
  return name;
}

std::string guess(std::string_view wrong, const std::vector<std::string> &names) {
  std::vector<std::string_view> views(names.begin(), names.end());
  return didYouMean(wrong, views);
}

std::vector<std::string> optionsOf(const CLI::App &command) {
  std::vector<std::string> names;
  for (const CLI::Option *option : command.get_options())
    for (const std::string &name : option->get_lnames())
      names.push_back("--" + name);
  return names;
}

std::vector<std::string> commandsOf(const CLI::App &command) {
  std::vector<std::string> names;
  for (const CLI::App *each : command.get_subcommands([](const CLI::App *) { return true; }))
    names.push_back(each->get_name());
  return names;
}

/// Of words that nobody took, the first that looks like an option, or else the first.
std::string unknownWord(const CLI::App &command, const std::vector<std::string> &words) {
  auto isOption = [](const std::string &word) { return word.size() > 1 && word[0] == '-'; };
  auto option = std::ranges::find_if(words, isOption);
  std::vector<std::string> commands = commandsOf(command);
  if (!commands.empty() && option != words.begin()) {
    std::string list;
    for (const std::string &name : commands)
      list += (list.empty() ? "" : ", ") + name;
    return "\"" + words.front() + "\" is no command of " + called(command) + ", allowed: " + list +
           guess(words.front(), commands);
  }
  if (option == words.end())
    return "\"" + words.front() + "\" is not expected by " + called(command);
  std::string name = option->substr(0, option->find('='));
  return name + " is no option of " + called(command) + guess(name, optionsOf(command));
}

/// CLI11's own sentences that are hard to understand, said again.
std::string explained(const CLI::Error &error) {
  std::string text = error.what();
  size_t colon = text.find(": ");
  // Of flags alone: numbers are read by decimal().
  if (size_t equal = text.find(" = ");
      error.get_name() == "ConversionError" && colon != text.npos && equal != text.npos)
    return text.substr(colon + 2, equal - colon - 2) + ": got " + text.substr(equal + 3) +
           ", allowed: true, false, or no value";
  if (error.get_name() != "ArgumentMismatch" || colon == text.npos)
    return text;
  std::string_view rest = std::string_view(text).substr(colon + 2);
  constexpr std::string_view missing = "1 required ", missingEnd = " missing";
  if (rest.starts_with(missing) && rest.ends_with(missingEnd)) {
    rest.remove_prefix(missing.size());
    rest.remove_suffix(missingEnd.size());
    return text.substr(0, colon) + ": needs a value, " + std::string(rest);
  }
  constexpr std::string_view most = "At Most 1 required but received ";
  if (rest.starts_with(most))
    return text.substr(0, colon) + ": is given " + std::string(rest.substr(most.size())) +
           " times, allowed: once";
  return text;
}

} // namespace

void refuseEmptyValues(CLI::App &app) {
  auto requireWord = [](const std::string &value) {
    return value.empty() ? std::string("got an empty value") : std::string();
  };
  for (CLI::Option *option : app.get_options())
    if (option->get_items_expected_max() > 0)
      option->check(CLI::Validator(requireWord, ""));
  for (CLI::App *command : app.get_subcommands([](CLI::App *) { return true; }))
    refuseEmptyValues(*command);
}

std::string usageMessage(const CLI::App *app, const CLI::Error &error) {
  const CLI::App &command = namedCommand(*app);
  std::vector<std::string> words = command.remaining();
  // Not by its name, which for words that are left over is the command's.
  auto code = CLI::ExitCodes(error.get_exit_code());
  bool isUnknown = !words.empty() && words != std::vector<std::string>{"--"} &&
                   (code == CLI::ExitCodes::ExtrasError || code == CLI::ExitCodes::RequiredError);
  return "ringc: " + (isUnknown ? unknownWord(command, words) : explained(error)) + "\nRun " +
         called(command) + " --help for more information.\n";
}

} // namespace ringc::cli
