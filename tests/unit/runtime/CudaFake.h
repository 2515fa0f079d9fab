#pragma once

#include "runtime/driver/CudaFunctions.h"
#include "runtime/driver/HostPool.h"

#include <cstddef>
#include <string>
#include <vector>

namespace ringc {

/// A libcuda.so.1 for machines without a GPU: device memory is the host's, work runs at once, and
/// kernels are functions of the host. Tests open it as the driver, then reach this behind it.
struct CudaFake {
  std::vector<std::string> calls; ///< "cuMemAlloc 64", in their order, but queries
  std::string failing;            ///< a call that shall fail
  CudaResult failure = CudaResult::Success;
  int devices = 1;
  int64_t liveObjects = 0;     ///< made and not destroyed: contexts, memory, streams, modules, ...
  std::vector<uint64_t> slots; ///< of the latest launch of a kernel of `slotCount` slots
  size_t slotCount = 0;

  /// What a launch of the entry `name` runs for each block.
  struct Kernel {
    std::string name;
    HostKernel run = nullptr;
    size_t scratchBytes = 0;
  };
  std::vector<Kernel> kernels;
};

/// The symbol under which the library exports its `CudaFake *()`.
inline constexpr const char *cudaFakeSymbol = "ringcCudaFake";

} // namespace ringc
