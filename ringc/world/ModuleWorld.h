#pragma once

#include "ringc/attention/Context.h"
#include "ringc/module/ModuleBackend.h"
#include "ringc/world/World.h"

#include <functional>
#include <memory>

namespace ringc {

/// Runs `body` for each rank of this process, at once, with the backend that modules of that rank
/// work in: the host's threads and kernels of `context`, or a device and a stream of its own, which
/// last until the body returns, as all tensors must not. Throws as World::onRanks.
void onModuleRanks(World &world, const AttentionContext &context,
                   const std::function<void(const std::shared_ptr<ModuleBackend> &)> &body);

} // namespace ringc
