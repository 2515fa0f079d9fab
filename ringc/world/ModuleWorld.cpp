#include "ringc/world/ModuleWorld.h"

#include "ringc/driver/CudaStream.h"
#include "ringc/module/DeviceModuleBackend.h"
#include "ringc/module/HostModuleBackend.h"

namespace ringc {

void onModuleRanks(World &world, const AttentionContext &context,
                   const std::function<void(const std::shared_ptr<ModuleBackend> &)> &body,
                   const TellProducts &tell) {
  world.onRanks([&](const WorldRank &rank) {
    TellProducts ofRank = rank.rank == 0 ? tell : nullptr;
    if (!rank.device)
      return body(hostModuleBackend(context, *rank.transport, ofRank));
    CudaStream stream(rank.device->device);
    body(rank.remote ? deviceModuleBackend(*rank.device, stream, *rank.remote, ofRank)
                     : deviceModuleBackend(*rank.device, stream, ofRank));
    stream.synchronize();
  });
}

} // namespace ringc
