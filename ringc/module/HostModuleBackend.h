#pragma once

#include "ringc/attention/Context.h"
#include "ringc/module/ModuleBackend.h"

#include <memory>

namespace ringc {

class Transport;

/// A rank of a module on the CPU: threads and kernels of the context, other ranks by the transport,
/// which must outlive it. One thread at a time calls it and what is made of it.
std::unique_ptr<ModuleBackend> hostModuleBackend(AttentionContext context, Transport &transport);

} // namespace ringc
