#include "tools/ringc/DecodeOnDevice.h"

#include "ringc/decode/DeviceDecodeRing.h"
#include "ringc/driver/CudaStream.h"
#include "tools/ringc/PlacedDecode.h"

#include <deque>
#include <vector>

namespace ringc::cli {

namespace {

void decodeOfRank(const WorldRank &rank, const DecodeOptions &options, const HostDecodeCall &call) {
  CudaStream stream(rank.device->device);
  PlacedDecode placed(stream, call);
  RankDecode own = placed.call();
  DeviceDecode decode(options, *rank.device);
  if (!rank.remote)
    decode.run(stream, own.inputs, own.out, own.lse);
  else
    decode.run(stream, own.inputs, own.keys, *rank.remote, own.out, own.lse);
  if (rank.remote)
    rank.remote->wait(stream);
  placed.download(call.out, call.lse);
}

void decodeOfAll(const std::vector<DeviceContext> &devices, const DecodeOptions &options,
                 std::span<const HostDecodeCall> calls) {
  DeviceDecodeRing ring(options, int(calls.size()), devices);
  std::deque<CudaStream> streams;
  std::deque<PlacedDecode> placed;
  std::vector<RankDecode> ranks;
  for (size_t rank = 0; rank < calls.size(); ++rank) {
    const CudaStream &stream = streams.emplace_back(ring.deviceOf(int(rank)).device);
    ranks.push_back(placed.emplace_back(stream, calls[rank]).call());
    stream.synchronize();
  }
  ring.run(streams.front(), ranks);
  streams.front().synchronize();
  for (size_t rank = 0; rank < calls.size(); ++rank)
    placed[rank].download(calls[rank].out, calls[rank].lse);
}

} // namespace

void decodeOnDevices(World &world, const DecodeOptions &options,
                     std::span<const HostDecodeCall> calls) {
  if (calls.size() > 1)
    return decodeOfAll(world.devices(), options, calls);
  world.onRanks([&](const WorldRank &rank) { decodeOfRank(rank, options, calls.front()); });
}

} // namespace ringc::cli
