#pragma once

#include <optional>
#include <string>

namespace ringc {

/// The environment variables that ringc heeds, read in one place; nothing else of the project calls
/// getenv. An empty variable counts as unset.
struct Env {
  /// RINGC_CACHE_DIR: folder of compiled kernels, in place of the default below. It is made with
  /// mode 0700 if it is not there.
  std::optional<std::string> cacheDir;
  /// XDG_CACHE_HOME: the folder of compiled kernels is `ringc` in it. Heeded if absolute, as the
  /// XDG specification says.
  std::optional<std::string> xdgCacheHome;
  /// HOME: without the two above the folder of compiled kernels is .cache/ringc in it.
  std::optional<std::string> home;
  /// RINGC_CUDA_LIBRARY: the file of the CUDA driver, in place of libcuda.so.1 as the loader finds
  /// it.
  std::optional<std::string> cudaLibrary;
  /// RINGC_NCCL_LIBRARY: the file of NCCL, in place of libnccl.so.2 as the loader finds it.
  std::optional<std::string> ncclLibrary;
  /// OMPI_COMM_WORLD_SIZE or PMI_SIZE, as mpirun sets them: the processes that it started, which
  /// are the ranks of ringc run, verify and bench.
  std::optional<std::string> mpiProcesses;

  static Env read();
};

} // namespace ringc
