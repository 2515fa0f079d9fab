#pragma once

#include "ringc/attention/device/DeviceCode.h"
#include "ringc/decode/Decode.h"

namespace ringc::cli {

/// A decode of tensors of the host on a device. Throws InputError and CudaError.
void decodeOnDevice(const DeviceContext &context, const DecodeOptions &options,
                    const DecodeInputs &inputs, HostTensor &out, HostTensor &lse);

} // namespace ringc::cli
