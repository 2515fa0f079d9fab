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
  /// RINGC_CACHE_BYTES: how large the files of compiled kernels may be together, 1 GiB if it is not
  /// set; 0 is no limit.
  std::optional<std::string> cacheBytes;
  /// OMP_NUM_THREADS and OMP_THREAD_LIMIT, as OpenMP has them: the threads of a pool that is not
  /// told how many.
  std::optional<std::string> ompNumThreads, ompThreadLimit;
  /// RINGC_CUDA_LIBRARY: the file of the CUDA driver, in place of libcuda.so.1 as the loader finds
  /// it.
  std::optional<std::string> cudaLibrary;
  /// RINGC_NCCL_LIBRARY: the file of NCCL, in place of libnccl.so.2 as the loader finds it.
  std::optional<std::string> ncclLibrary;
  /// OMPI_COMM_WORLD_SIZE or PMI_SIZE, as mpirun sets them: the processes that it started, which
  /// are the ranks of ringc run, verify and bench.
  std::optional<std::string> mpiProcesses;

  /// RANK, or OMPI_COMM_WORLD_RANK, PMI_RANK, SLURM_PROCID: of this process, as torchrun, mpirun or
  /// srun set it.
  std::optional<std::string> rank;
  /// WORLD_SIZE, or OMPI_COMM_WORLD_SIZE, PMI_SIZE, SLURM_STEP_NUM_TASKS: how many there are. Not
  /// SLURM_NTASKS, which a batch script has, too: a program that it starts without srun is alone.
  std::optional<std::string> worldSize;
  /// LOCAL_RANK, or OMPI_COMM_WORLD_LOCAL_RANK, MPI_LOCALRANKID, SLURM_LOCALID: among the processes
  /// of this host.
  std::optional<std::string> localRank;
  /// MASTER_ADDR and MASTER_PORT: where the process of rank 0 can be reached. torchrun sets both;
  /// others neither: then srun's are the step's first host and 29500, mpirun's 127.0.0.1 and 29500,
  /// which several hosts need an address for (mpirun -x MASTER_ADDR=...), and several jobs of a
  /// host ports.
  std::optional<std::string> masterAddress, masterPort;
  /// SLURM_STEP_NODELIST: the hosts of the ranks that srun has started, "gpu[03-07],big1".
  std::optional<std::string> slurmNodes;
  /// TORCHELASTIC_RUN_ID: torchrun is at work, and may listen at MASTER_PORT itself.
  std::optional<std::string> torchrun;
  /// NCCL_COMM_ID: the address at which NCCL's ranks find each other by themselves.
  std::optional<std::string> ncclCommId;

  static Env read();
};

} // namespace ringc
