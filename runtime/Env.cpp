#include "runtime/Env.h"

#include <cstdlib>

namespace ringc {

static std::optional<std::string> variable(const char *name) {
  const char *value = std::getenv(name);
  if (!value || !*value)
    return std::nullopt;
  return value;
}

Env Env::read() {
  std::optional<std::string> openMpi = variable("OMPI_COMM_WORLD_SIZE");
  return {.cacheDir = variable("RINGC_CACHE_DIR"),
          .xdgCacheHome = variable("XDG_CACHE_HOME"),
          .home = variable("HOME"),
          .cudaLibrary = variable("RINGC_CUDA_LIBRARY"),
          .ncclLibrary = variable("RINGC_NCCL_LIBRARY"),
          .mpiProcesses = openMpi ? openMpi : variable("PMI_SIZE")};
}

} // namespace ringc
