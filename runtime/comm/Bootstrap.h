#pragma once

#include "runtime/comm/NcclLibrary.h"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace ringc {

struct Env;

/// Who this process is among those that a launcher has started.
struct ProcessRank {
  int rank = 0;
  int world = 1;
  int localRank = 0; ///< among the processes of this host: its device
  std::string masterAddress = "127.0.0.1";
  uint16_t masterPort = 29500;
  bool ncclFinds = false; ///< NCCL_COMM_ID is set: NCCL's ranks need no id from rank 0

  /// From what torchrun, mpirun or srun set (Env). With torchrun the port is the one after
  /// MASTER_PORT, where torchrun may listen itself. Nothing where no launcher is at work. Throws
  /// InputError for values that cannot be.
  static std::optional<ProcessRank> of(const Env &env);
};

/// One id for all processes: rank 0 makes it and gives it to the others over TCP, at the master's
/// address and port; or, with NCCL_COMM_ID, NCCL knows it by itself. Called by all. Throws
/// InputError for an address that is not one, and NcclError when not all come within the deadline.
NcclUniqueId shareUniqueId(const NcclLibrary &library, const ProcessRank &process,
                           std::chrono::milliseconds deadline);

} // namespace ringc
