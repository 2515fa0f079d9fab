#pragma once

#include <optional>
#include <string>

namespace ringc {

/// What a launcher tells each process that it starts, and under which names.
struct LauncherVariables {
  std::string rankName, worldName, localRankName;
  std::optional<std::string> rank = {}, world = {}, localRank = {};
};

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
  /// RINGC_TUNE_TABLE: the file of tuned tile sizes, in place of the default below; "none": no
  /// table.
  std::optional<std::string> tuneTable;
  /// XDG_DATA_HOME: the file of tuned tile sizes is ringc/tune.json in it, else
  /// .local/share/ringc/tune.json in HOME. Heeded if absolute.
  std::optional<std::string> xdgDataHome;
  /// RINGC_CPU_FEATURES: features of the processor that kernels are compiled without, by LLVM's
  /// names: -avx512bf16,-amx.
  std::optional<std::string> cpuFeatures;
  /// OMP_NUM_THREADS and OMP_THREAD_LIMIT, as OpenMP has them: the threads of a pool that is not
  /// told how many.
  std::optional<std::string> ompNumThreads, ompThreadLimit;
  /// RINGC_CUDA_LIBRARY: the file of the CUDA driver, in place of libcuda.so.1 as the loader finds
  /// it.
  std::optional<std::string> cudaLibrary;
  /// RINGC_NCCL_LIBRARY: the file of NCCL, in place of libnccl.so.2 as the loader finds it.
  std::optional<std::string> ncclLibrary;
  /// RINGC_CUBLASLT_LIBRARY: the file of cuBLASLt, in place of libcublasLt.so as the loader finds
  /// it; "none": matrices are multiplied by matmul.tile.
  std::optional<std::string> cublasLtLibrary;
  /// RINGC_ONEDNN_LIBRARY: the file of oneDNN, in place of libdnnl.so as the loader finds it;
  /// "none": the host's matrices are multiplied by matmul.tile.
  std::optional<std::string> oneDnnLibrary;
  /// RANK, WORLD_SIZE and LOCAL_RANK, as torchrun sets them, or who starts ranks by hand.
  LauncherVariables variables{"RANK", "WORLD_SIZE", "LOCAL_RANK"};
  /// OMPI_COMM_WORLD_RANK, OMPI_COMM_WORLD_SIZE and OMPI_COMM_WORLD_LOCAL_RANK: Open MPI's mpirun.
  LauncherVariables openMpi{"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE",
                            "OMPI_COMM_WORLD_LOCAL_RANK"};
  /// PMI_RANK, PMI_SIZE and MPI_LOCALRANKID: the mpirun of MPICH and its kin.
  LauncherVariables pmi{"PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID"};
  /// SLURM_PROCID, SLURM_STEP_NUM_TASKS and SLURM_LOCALID: srun. Not SLURM_NTASKS, which a batch
  /// script and the shell of salloc have, too: a program that they start without srun is alone.
  LauncherVariables slurm{"SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"};
  /// MASTER_ADDR and MASTER_PORT: where the process of rank 0 can be reached. torchrun sets both;
  /// others neither: then srun's are the step's first host and 29500, mpirun's 127.0.0.1 and 29500,
  /// which several hosts need an address for (mpirun -x MASTER_ADDR=...), and several jobs of a
  /// host ports.
  std::optional<std::string> masterAddress, masterPort;
  /// SLURM_STEP_NODELIST: the hosts of the ranks that srun has started, "gpu[03-07],big1".
  std::optional<std::string> slurmNodes;
  /// TORCHELASTIC_RUN_ID: torchrun is at work, and may listen at MASTER_PORT itself.
  std::optional<std::string> torchrun;
  /// What a launcher calls the job, the same for all of its ranks and no others:
  /// TORCHELASTIC_RUN_ID, PMIX_NAMESPACE, or SLURM_JOB_ID and SLURM_STEP_ID.
  std::optional<std::string> job;
  /// RINGC_JOB_TOKEN: a secret of the job's ranks, who have to prove to each other that they know
  /// it before one gets a place in the ring over NCCL (ringc/comm/Bootstrap.h).
  std::optional<std::string> jobToken;
  /// NCCL_COMM_ID: the address at which NCCL's ranks find each other by themselves.
  std::optional<std::string> ncclCommId;

  static Env read();
};

} // namespace ringc
