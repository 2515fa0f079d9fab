#pragma once

#include "ringc/ring/Trace.h"
#include "tools/ringc/WorldCommand.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace ringc::cli {

/// The trace of all ranks of a world, and the file that --trace names.
class WorldTrace {
public:
  /// Without a `file` nothing is written. Throws InputError where it could not be.
  WorldTrace(World &world, std::string file);

  /// For the context of the world's rings.
  const std::shared_ptr<Trace> &recorder() const { return trace; }

  /// Runs `passes`, recorded. All processes call it. In the first the spans of all ranks, in others
  /// of none; their times count from when the slowest process was ready.
  std::vector<Span> record(const std::function<void()> &passes);

  /// Whether there is a file to write.
  bool isAsked() const { return !file.empty(); }
  /// In the first process, all that was recorded, one after another.
  void write() const;

private:
  World &world;
  std::string file;
  std::shared_ptr<Trace> trace = std::make_shared<Trace>();
  std::vector<Span> recorded;
};

/// Adds --trace.
void addTraceOption(CLI::App &command, std::string &file);

} // namespace ringc::cli
