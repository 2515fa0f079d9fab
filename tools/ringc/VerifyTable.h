#pragma once

#include "ringc/world/World.h"
#include "tools/ringc/Command.h"

#include <string>
#include <vector>

namespace ringc::cli {

/// An error, and what it may be.
struct RankError {
  double error = 0, bar = 0;
};

/// In the first process the errors of all ranks, each of which has as many, by rank; in others
/// nothing. `own`: of this process's ranks.
std::vector<std::vector<RankError>> gatherErrors(World &world,
                                                 const std::vector<std::vector<RankError>> &own);

/// What a check has found, a line an error.
class VerifyTable {
public:
  /// The names of the columns before error, bar and result.
  explicit VerifyTable(std::vector<std::string> columns);

  void add(std::vector<std::string> line, const RankError &found);
  /// Prints it, and says whether all is well. The exit code.
  int tell(const Session &session) const;

private:
  std::vector<std::vector<std::string>> rows;
  bool passed = true;
};

} // namespace ringc::cli
