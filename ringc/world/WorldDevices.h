#pragma once

#include "ringc/attention/device/DeviceCode.h"
#include "ringc/tune/TuneTable.h"
#include "ringc/world/World.h"

#include <optional>
#include <string>
#include <vector>

namespace ringc {

/// "0,1"
std::string nameOfDevices(const std::vector<int> &devices);

/// Those that `ranks` of one process are dealt over. Throws InputError and CudaError.
std::vector<int> devicesOf(int ranks, const std::vector<int> &devices);

/// A world of `ranks` in this process, dealt over `devices`; none: as many as
/// there are, and ranks. `tell` is hostContext's. Throws InputError and CudaError.
std::unique_ptr<World> makeDeviceWorld(int ranks, const std::vector<int> &devices,
                                       const TuneTable::Warn &tell);

/// The world of the processes that torchrun, mpirun or srun has started, each with a device: of
/// `devices`, or of all, that of its local rank, in turn. They wait for each other at
/// most so long. Throws InputError, CudaError and NcclError.
std::unique_ptr<World> makeNcclWorld(const ProcessRank &process, const std::vector<int> &devices,
                                     std::chrono::milliseconds deadline,
                                     const TuneTable::Warn &tell);

} // namespace ringc
