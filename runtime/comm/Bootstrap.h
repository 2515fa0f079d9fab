#pragma once

#include "runtime/Env.h"
#include "runtime/comm/NcclLibrary.h"

#include <chrono>
#include <optional>
#include <string>

namespace ringc {

/// Who this process is among those that a launcher has started.
struct ProcessRank {
  int rank = 0;
  int world = 1;
  int localRank = 0; ///< among the processes of this host: its device
  std::string masterAddress = "127.0.0.1";
  int masterPort = 29500;

  /// From RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT, which torchrun sets; where
  /// they are not set, from what mpirun and srun set. Nothing where no launcher is at work. Throws
  /// InputError for values that cannot be.
  static std::optional<ProcessRank> of(const Env &env);
};

/// One id for all processes: rank 0 makes it and gives it to the others over TCP, at the master's
/// address and port; or, where NCCL_COMM_ID is set, NCCL knows it by itself. Called by all. Throws
/// InputError for an address that is not one, and NcclError when not all come within the deadline.
NcclUniqueId shareUniqueId(const NcclLibrary &library, const ProcessRank &process,
                           std::chrono::milliseconds deadline);

} // namespace ringc
