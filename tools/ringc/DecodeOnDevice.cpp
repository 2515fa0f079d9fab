#include "tools/ringc/DecodeOnDevice.h"

#include "ringc/attention/device/DeviceTensor.h"
#include "ringc/decode/DeviceDecodeRing.h"
#include "ringc/driver/CudaStream.h"

#include <deque>
#include <variant>
#include <vector>

namespace ringc::cli {

namespace {

/// A call's tensors in the memory of a device.
class Placed {
public:
  Placed(const CudaStream &order, const HostDecodeCall &given)
      : stream(order), call(given), out(order.device(), given.out.dtype(), given.out.shape()),
        lse(order.device(), given.lse.dtype(), given.lse.shape()) {
    inputs = {.q = put(call.inputs.q), .k = put(call.inputs.k), .v = put(call.inputs.v)};
    if (call.inputs.pageTable)
      inputs.pageTable = put(*call.inputs.pageTable);
    if (call.inputs.lengths)
      inputs.lengths = put(*call.inputs.lengths);
    for (const auto &[name, value] : call.inputs.arguments) {
      auto *tensor = std::get_if<Tensor>(&value);
      inputs.arguments.emplace(name, tensor ? ArgumentValue(put(*tensor)) : value);
    }
  }

  RankDecode rank() const { return {inputs, call.keys, out, lse}; }
  void download() const {
    copy(out.download(stream), call.out);
    copy(lse.download(stream), call.lse);
  }

private:
  Tensor put(const Tensor &tensor) {
    return memory.emplace_back(DeviceTensor::copyOf(stream, tensor)).view();
  }

  const CudaStream &stream;
  const HostDecodeCall &call;
  std::vector<DeviceTensor> memory;
  DeviceTensor out, lse;
  DecodeInputs inputs;
};

void decodeOfRank(const WorldRank &rank, const DecodeOptions &options, const HostDecodeCall &call) {
  CudaStream stream(rank.device->device);
  Placed placed(stream, call);
  RankDecode own = placed.rank();
  DeviceDecode decode(options, *rank.device);
  if (!rank.remote)
    decode.run(stream, own.inputs, own.out, own.lse);
  else
    decode.run(stream, own.inputs, own.keys, *rank.remote, own.out, own.lse);
  placed.download();
  if (rank.remote)
    rank.remote->wait(stream);
}

void decodeOfAll(const std::vector<DeviceContext> &devices, const DecodeOptions &options,
                 std::span<const HostDecodeCall> calls) {
  DeviceDecodeRing ring(options, int(calls.size()), devices);
  std::deque<CudaStream> streams;
  std::deque<Placed> placed;
  std::vector<RankDecode> ranks;
  for (size_t rank = 0; rank < calls.size(); ++rank) {
    const CudaStream &stream = streams.emplace_back(ring.deviceOf(int(rank)).device);
    ranks.push_back(placed.emplace_back(stream, calls[rank]).rank());
    stream.synchronize();
  }
  ring.run(streams.front(), ranks);
  streams.front().synchronize();
  for (const Placed &each : placed)
    each.download();
}

} // namespace

void decodeOnDevices(World &world, const DecodeOptions &options,
                     std::span<const HostDecodeCall> calls) {
  if (calls.size() > 1)
    return decodeOfAll(world.devices(), options, calls);
  world.onRanks([&](const WorldRank &rank) { decodeOfRank(rank, options, calls.front()); });
}

} // namespace ringc::cli
