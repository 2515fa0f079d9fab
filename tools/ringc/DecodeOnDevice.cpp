#include "tools/ringc/DecodeOnDevice.h"

#include "ringc/attention/device/DeviceTensor.h"
#include "ringc/driver/CudaStream.h"

#include <variant>
#include <vector>

namespace ringc::cli {

void decodeOnDevice(const DeviceContext &context, const DecodeOptions &options,
                    const DecodeInputs &inputs, HostTensor &out, HostTensor &lse) {
  CudaStream stream(context.device);
  std::vector<DeviceTensor> memory;
  auto put = [&](const Tensor &tensor) -> Tensor {
    return memory.emplace_back(DeviceTensor::copyOf(stream, tensor)).view();
  };
  DecodeInputs placed{.q = put(inputs.q), .k = put(inputs.k), .v = put(inputs.v)};
  if (inputs.pageTable)
    placed.pageTable = put(*inputs.pageTable);
  if (inputs.lengths)
    placed.lengths = put(*inputs.lengths);
  for (const auto &[name, value] : inputs.arguments) {
    auto *tensor = std::get_if<Tensor>(&value);
    placed.arguments.emplace(name, tensor ? ArgumentValue(put(*tensor)) : value);
  }
  DeviceTensor ownOut(context.device, out.dtype(), out.shape()),
      ownLse(context.device, lse.dtype(), lse.shape());
  DeviceDecode(options, context).run(stream, placed, ownOut, ownLse);
  out = ownOut.download(stream);
  lse = ownLse.download(stream);
}

} // namespace ringc::cli
