#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace ringc {

struct Env;

/// Who this process is among those that a launcher has started.
struct ProcessRank {
  /// torchrun, or somebody who sets RANK and WORLD_SIZE; mpirun; srun.
  enum class Launcher { Variables, Mpi, Slurm };

  int rank = 0;
  int world = 1;
  int localRank = 0; ///< among the processes of this host: its device
  Launcher launcher = Launcher::Variables;
  std::string worldVariable = "WORLD_SIZE"; ///< that says `world`
  std::string masterAddress = "127.0.0.1";
  uint16_t masterPort = 29500;
  bool ncclFinds = false; ///< NCCL_COMM_ID is set: NCCL's ranks need no id from rank 0
  std::string job;        ///< what the launcher calls the job, or nothing
  std::string token;      ///< RINGC_JOB_TOKEN: what all ranks know and strangers do not, or nothing

  /// From what torchrun, mpirun or srun set (Env). With torchrun the port is the one after
  /// MASTER_PORT, where torchrun may listen itself. Nothing where no launcher is at work. Throws
  /// InputError for values that cannot be: no numbers, a rank beyond the world, one variable of
  /// two.
  static std::optional<ProcessRank> of(const Env &env);
};

} // namespace ringc
