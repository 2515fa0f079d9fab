#include "runtime/Env.h"

#include <cstdlib>
#include <initializer_list>

namespace ringc {

static std::optional<std::string> variable(const char *name) {
  const char *value = std::getenv(name);
  if (!value || !*value)
    return std::nullopt;
  return value;
}

static std::optional<std::string> firstOf(std::initializer_list<const char *> names) {
  for (const char *name : names)
    if (std::optional<std::string> value = variable(name))
      return value;
  return std::nullopt;
}

Env Env::read() {
  return {.cacheDir = variable("RINGC_CACHE_DIR"),
          .xdgCacheHome = variable("XDG_CACHE_HOME"),
          .home = variable("HOME"),
          .cacheBytes = variable("RINGC_CACHE_BYTES"),
          .ompNumThreads = variable("OMP_NUM_THREADS"),
          .ompThreadLimit = variable("OMP_THREAD_LIMIT"),
          .cudaLibrary = variable("RINGC_CUDA_LIBRARY"),
          .ncclLibrary = variable("RINGC_NCCL_LIBRARY"),
          .mpiProcesses = firstOf({"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"}),
          .rank = firstOf({"RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK", "SLURM_PROCID"}),
          .worldSize =
              firstOf({"WORLD_SIZE", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"}),
          .localRank = firstOf(
              {"LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "SLURM_LOCALID"}),
          .masterAddress = variable("MASTER_ADDR"),
          .masterPort = variable("MASTER_PORT"),
          .slurmNodes = variable("SLURM_STEP_NODELIST"),
          .torchrun = variable("TORCHELASTIC_RUN_ID"),
          .ncclCommId = variable("NCCL_COMM_ID")};
}

} // namespace ringc
