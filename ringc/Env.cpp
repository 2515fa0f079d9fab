#include "ringc/Env.h"

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

static std::optional<std::string> slurmStep() {
  std::optional<std::string> job = variable("SLURM_JOB_ID"), step = variable("SLURM_STEP_ID");
  return job && step ? std::optional("slurm " + *job + "." + *step) : std::nullopt;
}

Env Env::read() {
  Env env{.cacheDir = variable("RINGC_CACHE_DIR"),
          .xdgCacheHome = variable("XDG_CACHE_HOME"),
          .home = variable("HOME"),
          .cacheBytes = variable("RINGC_CACHE_BYTES"),
          .tuneTable = variable("RINGC_TUNE_TABLE"),
          .xdgDataHome = variable("XDG_DATA_HOME"),
          .cpuFeatures = variable("RINGC_CPU_FEATURES"),
          .ompNumThreads = variable("OMP_NUM_THREADS"),
          .ompThreadLimit = variable("OMP_THREAD_LIMIT"),
          .cudaLibrary = variable("RINGC_CUDA_LIBRARY"),
          .ncclLibrary = variable("RINGC_NCCL_LIBRARY"),
          .cublasLtLibrary = variable("RINGC_CUBLASLT_LIBRARY"),
          .oneDnnLibrary = variable("RINGC_ONEDNN_LIBRARY"),
          .masterAddress = variable("MASTER_ADDR"),
          .masterPort = variable("MASTER_PORT"),
          .slurmNodes = variable("SLURM_STEP_NODELIST"),
          .torchrun = variable("TORCHELASTIC_RUN_ID"),
          .job = firstOf({"TORCHELASTIC_RUN_ID", "PMIX_NAMESPACE"}),
          .jobToken = variable("RINGC_JOB_TOKEN"),
          .ncclCommId = variable("NCCL_COMM_ID")};
  if (!env.job)
    env.job = slurmStep();
  for (LauncherVariables *by : {&env.variables, &env.openMpi, &env.pmi, &env.slurm}) {
    by->rank = variable(by->rankName.c_str());
    by->world = variable(by->worldName.c_str());
    by->localRank = variable(by->localRankName.c_str());
  }
  return env;
}

} // namespace ringc
