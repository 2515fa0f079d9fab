#pragma once

#include "ringc/attention/device/DeviceCode.h"
#include "ringc/comm/StreamTransport.h"
#include "ringc/driver/CudaStream.h"
#include "ringc/module/ModuleBackend.h"
#include "ringc/module/ProductsChoice.h"

#include <memory>

namespace ringc {

/// A rank of a module on a device: tensors lie in its memory, and all work goes in the order of
/// `stream`, of the context's device; other ranks are reached by the transport. Results are there
/// when the stream has run so far (RemoteTransport::wait, which throws what went wrong; alone
/// CudaStream::synchronize). Ranks compare their calls on the host, and positions of rows come from
/// there: calls cannot be captured in a graph. cuSeqlens lie on the host.
///
/// Stream and transport must outlive it and all tensors that a module gave. One thread at a time
/// calls it and what is made of it. `tell` hears once who multiplies matrices (ProductsChoice); it
/// may be null. Throws CublasError where RINGC_CUBLASLT_LIBRARY names what is no cuBLASLt.
std::unique_ptr<ModuleBackend> deviceModuleBackend(DeviceContext context, const CudaStream &stream,
                                                   RemoteTransport &transport,
                                                   TellProducts tell = {});

/// Of a world of this rank alone.
std::unique_ptr<ModuleBackend> deviceModuleBackend(DeviceContext context, const CudaStream &stream,
                                                   TellProducts tell = {});

} // namespace ringc
