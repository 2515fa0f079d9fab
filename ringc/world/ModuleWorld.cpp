#include "ringc/world/ModuleWorld.h"

#include "ringc/driver/CudaStream.h"
#include "ringc/module/DeviceModuleBackend.h"
#include "ringc/module/HostModuleBackend.h"

namespace ringc {

void onModuleRanks(World &world, const AttentionContext &context,
                   const std::function<void(const std::shared_ptr<ModuleBackend> &)> &body) {
  world.onRanks([&](const WorldRank &rank) {
    if (!rank.device)
      return body(hostModuleBackend(context, *rank.transport));
    CudaStream stream(rank.device->device);
    body(rank.remote ? deviceModuleBackend(*rank.device, stream, *rank.remote)
                     : deviceModuleBackend(*rank.device, stream));
    stream.synchronize();
  });
}

} // namespace ringc
