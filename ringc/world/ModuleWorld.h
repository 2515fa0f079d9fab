#pragma once

#include "ringc/attention/Context.h"
#include "ringc/module/ModuleBackend.h"
#include "ringc/module/ProductsChoice.h"
#include "ringc/world/World.h"

#include <functional>
#include <memory>

namespace ringc {

/// Runs `body` for each rank of this process, at once, with the backend that modules of that rank
/// work in: the host's threads and kernels of `context`, or a device and a stream of its own, which
/// last until the body returns, as all tensors must not. `tell` hears who multiplies for rank 0
/// (hostModuleBackend, deviceModuleBackend); it may be null. Throws as World::onRanks.
void onModuleRanks(World &world, const AttentionContext &context,
                   const std::function<void(const std::shared_ptr<ModuleBackend> &)> &body,
                   const TellProducts &tell = {});

} // namespace ringc
