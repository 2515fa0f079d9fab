#pragma once

#include "ringc/decode/Decode.h"
#include "ringc/world/World.h"
#include "tools/ringc/PlacedDecode.h"

#include <span>

namespace ringc::cli {

/// The decode of this process's ranks on the devices of their world: of one rank alone, of one of
/// several processes, or of all ranks in this one. `calls` by rank of this process. Throws
/// InputError, CudaError, NcclError, DisagreementError and PeerError.
void decodeOnDevices(World &world, const DecodeOptions &options,
                     std::span<const HostDecodeCall> calls);

} // namespace ringc::cli
