#pragma once

#include "ringc/world/World.h"
#include "tools/ringc/AttentionFlags.h"
#include "tools/ringc/Command.h"

#include <functional>
#include <string>
#include <vector>

namespace ringc::cli {

/// Command line options of a world of devices or processes.
struct WorldFlags {
  double deadlineSeconds = 600;
  std::string devices;                ///< "0,1"; empty: all
  const CLI::Option *ranks = nullptr; ///< --ranks
  const CLI::App *app = nullptr;      ///< the command
  int usualRanks = 1;                 ///< of one process, without --ranks

  /// After --ranks.
  void addTo(CLI::App &command);
};

/// Runs `command` in a world as `attention` says: of its ranks, or of the processes of a launcher,
/// on the host or on devices. Returns the largest exit code of all. Where a process fails, or its
/// command line is not that of the others, all do. Throws InputError where the ranks that were
/// asked for are not those that were started, or, on the host, where they are not processes of MPI
/// or this build has none.
int runInWorld(const Session &session, const AttentionFlags &attention, const WorldFlags &flags,
               const std::function<int(const Session &, World &)> &command);

/// The ordinals that --devices names: "0,1"; of "" none. Throws InputError.
std::vector<int> parseDevices(const std::string &text);

} // namespace ringc::cli
