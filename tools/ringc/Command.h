#pragma once

#include <CLI/CLI.hpp>

#include <functional>
#include <string>

namespace ringc::cli {

/// How much is said on stderr.
enum class Talk { Quiet, Normal, Verbose };

/// What all commands share: how to talk, and what to do once the command line is understood.
struct Session {
  bool quiet = false, verbose = false;
  std::function<int()> action; ///< of the command that was named; the exit code

  Talk talk() const { return quiet ? Talk::Quiet : verbose ? Talk::Verbose : Talk::Normal; }

  /// A line on stderr, unless quiet.
  void say(const std::string &line) const;
  /// A line on stderr, if verbose.
  void detail(const std::string &line) const;
  /// That, for others to call, from any thread; null unless verbose.
  std::function<void(const std::string &line)> details() const;
};

/// 0 ok, 1 input wrong or check failed, 2 usage, 3 internal.
enum ExitCode { Ok = 0, Wrong = 1, Usage = 2, Internal = 3 };

// Each adds its command to `app`; its options live as long as `app`.
void addCompile(CLI::App &app, Session &session);
void addRun(CLI::App &app, Session &session);
void addDecode(CLI::App &app, Session &session);
void addVerify(CLI::App &app, Session &session);
void addPlan(CLI::App &app, Session &session);
void addBench(CLI::App &app, Session &session);
void addTune(CLI::App &app, Session &session);
void addCache(CLI::App &app, Session &session);
void addInfo(CLI::App &app, Session &session);

/// The options that every command has.
void addCommon(CLI::App &app, Session &session);

/// A subcommand with the common options, whose parsed options are handed to `action`.
template <typename Options>
CLI::App *addCommand(CLI::App &app, Session &session, const char *name, const char *description,
                     std::shared_ptr<Options> options,
                     int (*action)(const Session &, const Options &)) {
  CLI::App *command = app.add_subcommand(name, description);
  addCommon(*command, session);
  command->callback([&session, options, action] {
    session.action = [&session, options, action] { return action(session, *options); };
  });
  return command;
}

} // namespace ringc::cli
