#pragma once

#include <string>

namespace ringc {

/// Names of files that must not outlive the process. They are kept where a signal handler can read
/// them: in memory that is neither allocated nor freed.
class TemporaryName {
public:
  /// At most `maxTemporaryNames` at a time are known to the handler; further ones are not.
  explicit TemporaryName(const std::string &path);
  TemporaryName(TemporaryName &&other) noexcept;
  ~TemporaryName();

private:
  int slot = -1;
};

inline constexpr int maxTemporaryNames = 64;

/// From now on SIGINT, SIGTERM and SIGHUP remove the files of all such names, and then end the
/// process as they would have without. A signal that is ignored stays so. For programs, at their
/// start.
void removeTemporaryFilesOnSignals();

} // namespace ringc
