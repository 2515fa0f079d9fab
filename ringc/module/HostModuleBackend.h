#pragma once

#include "ringc/attention/Context.h"
#include "ringc/module/ModuleBackend.h"
#include "ringc/module/ProductsChoice.h"

#include <memory>

namespace ringc {

class Transport;

/// A rank of a module on the CPU: threads and kernels of the context, other ranks by the transport,
/// which must outlive it. One thread at a time calls it and what is made of it. `tell` hears once
/// who multiplies matrices (ProductsChoice); it may be null. Throws OneDnnError where
/// RINGC_ONEDNN_LIBRARY names one that does not work.
std::unique_ptr<ModuleBackend> hostModuleBackend(AttentionContext context, Transport &transport,
                                                 const TellProducts &tell = {});

} // namespace ringc
