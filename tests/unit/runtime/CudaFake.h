#pragma once

#include "ringc/driver/CudaFunctions.h"
#include "ringc/driver/HostPool.h"

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace ringc {

/// A libcuda.so.1 for machines without a GPU: device memory is the host's, and kernels are
/// functions of the host. Tests open it as the driver, then reach this behind it.
///
/// Work runs late: each stream is a queue, and only when somebody waits or asks do heads of queues
/// run, those of a stream chosen at random, as far as events let them. So an order that nothing
/// enforces shows as wrong results for one seed or another.
struct CudaFake {
  std::vector<std::string> calls; ///< "cuMemAlloc 64", in their order, but queries
  std::string failing;            ///< a call that shall fail
  CudaResult failure = CudaResult::Success;
  int devices = 1;
  unsigned seed = 1;           ///< of the order between streams
  int64_t liveObjects = 0;     ///< made and not destroyed: contexts, memory, streams, modules, ...
  std::vector<uint64_t> slots; ///< of the latest launch
  size_t slotCount = 0;        ///< of kernels that do not say theirs

  /// What a launch of the entry `name` runs for each block.
  struct Kernel {
    std::string name;
    HostKernel run = nullptr;
    size_t scratchBytes = 0;
    size_t slotCount = 0;
    int batchSlot = -1;   ///< of the extent B, whose last entries are the grid's z
    bool twoAxes = false; ///< the grid's y is the second axis, not the head
    /// Of a grid with heads and a second axis, which share its x: the axis's extent, times or by so
    /// many.
    int secondSlot = -1;
    int64_t secondFactor = 1, secondStep = 1;
  };
  std::vector<Kernel> kernels; ///< by one thread; others call the following
};
extern "C" void ringcCudaFakeAddKernel(const CudaFake::Kernel *kernel);

/// The symbol under which the library exports its `CudaFake *()`.
inline constexpr const char *cudaFakeSymbol = "ringcCudaFake";

/// Work of another library's fake, which is over when it is the head of the queue and says so:
/// `begin` is called for each time that it runs, of a graph each replay, and gives whom to ask.
struct CudaFakeWork {
  std::function<std::function<bool()>()> begin;
};
extern "C" void ringcCudaFakeEnqueue(CudaStreamHandle stream, const CudaFakeWork *work);
/// Lets all streams run as far as they can.
extern "C" void ringcCudaFakeProgress();

} // namespace ringc
