#pragma once

#include "runtime/attention/DeviceCode.h"
#include "runtime/tune/TuneTable.h"
#include "tools/ringc/World.h"

#include <optional>
#include <string>
#include <vector>

namespace ringc::cli {

/// The ordinals that --devices names: "0,1". Throws InputError.
std::vector<int> parseDevices(const std::string &text);

/// Those that `ranks` of one process are dealt over. Throws InputError and CudaError.
std::vector<int> devicesOf(int ranks, const std::string &text);

/// A world of `ranks` in this process, dealt over the devices that `text` names; empty: as many as
/// there are, and ranks. `tell` is hostContext's. Throws InputError and CudaError.
std::unique_ptr<World> makeDeviceWorld(int ranks, const std::string &text,
                                       const TuneTable::Warn &tell);

/// The world of the processes that torchrun, mpirun or srun has started, each with a device: of
/// those that `text` names, or of all, that of its local rank, in turn. They wait for each other at
/// most so long. Throws InputError, CudaError and NcclError.
std::unique_ptr<World> makeNcclWorld(const ProcessRank &process, const std::string &text,
                                     std::chrono::milliseconds deadline,
                                     const TuneTable::Warn &tell);

} // namespace ringc::cli
