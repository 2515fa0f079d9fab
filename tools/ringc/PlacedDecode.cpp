#include "tools/ringc/PlacedDecode.h"

#include "ringc/driver/CudaStream.h"

#include <variant>

namespace ringc::cli {

PlacedDecode::PlacedDecode(const CudaStream &order, const HostDecodeCall &onHost)
    : stream(order), keys(onHost.keys), out(order.device(), onHost.out.dtype(), onHost.out.shape()),
      lse(order.device(), onHost.lse.dtype(), onHost.lse.shape()) {
  inputs = {.q = put(onHost.inputs.q), .k = put(onHost.inputs.k), .v = put(onHost.inputs.v)};
  if (onHost.inputs.pageTable)
    inputs.pageTable = put(*onHost.inputs.pageTable);
  if (onHost.inputs.lengths)
    inputs.lengths = put(*onHost.inputs.lengths);
  for (const auto &[name, value] : onHost.inputs.arguments) {
    auto *tensor = std::get_if<Tensor>(&value);
    inputs.arguments.emplace(name, tensor ? ArgumentValue(put(*tensor)) : value);
  }
}

Tensor PlacedDecode::put(const Tensor &onHost) {
  return memory.emplace_back(DeviceTensor::copyOf(stream, onHost)).view();
}

void PlacedDecode::download(const Tensor &outOnHost, const Tensor &lseOnHost) const {
  copy(out.download(stream), outOnHost);
  copy(lse.download(stream), lseOnHost);
}

} // namespace ringc::cli
