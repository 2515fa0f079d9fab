#pragma once

#include "ringc/comm/NcclLibrary.h"

#include <cstdint>
#include <string>
#include <vector>

namespace ringc {

/// A libnccl.so.2 for machines without a GPU, on the streams of CudaFake: the ranks of a
/// communicator are threads of one process, each with the device of its number, and a group is over
/// when all its messages have met their other ends. Calls of a communicator that does not block
/// stay in progress for a while.
struct NcclFake {
  std::vector<std::string> calls; ///< "ncclSend 64 to 1"
  int64_t liveCommunicators = 0;
  int failingRank = -1; ///< whose communicator reports `failure`
  NcclResult failure = NcclResult::Success;
  int64_t graphs = 0; ///< that were captured: ending a communicator waits for them
};

/// The symbol under which the library exports its `NcclFake *()`.
inline constexpr const char *ncclFakeSymbol = "ringcNcclFake";

} // namespace ringc
