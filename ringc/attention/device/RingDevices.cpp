#include "ringc/attention/device/RingDevices.h"

#include "ringc/support/Error.h"

#include <string>
#include <utility>

namespace ringc {

RingDevices::RingDevices(int world, std::vector<DeviceContext> contexts) : ranks(world) {
  if (world < 1)
    throw InputError("world", std::to_string(world), "1 or more ranks");
  if (contexts.empty())
    throw InputError("devices", "none", "one or more");
  for (size_t a = 0; a < contexts.size(); ++a)
    for (size_t b = 0; b < a; ++b)
      if (contexts[a].device->facts().ordinal == contexts[b].device->facts().ordinal)
        throw InputError("devices", contexts[a].device->facts().describe() + " twice",
                         "each once: several ranks share one");
  for (DeviceContext &context : contexts)
    devices.emplace_back(std::move(context));
}

size_t RingDevices::indexOf(int rank) const {
  if (rank < 0 || rank >= ranks)
    throw InputError("rank", std::to_string(rank), "0 to " + std::to_string(ranks - 1));
  return size_t(rank * int64_t(devices.size()) / ranks);
}

std::vector<std::shared_ptr<const CudaDevice>> RingDevices::ofRanks() const {
  std::vector<std::shared_ptr<const CudaDevice>> all;
  for (int rank = 0; rank < ranks; ++rank)
    all.push_back(of(rank).device);
  return all;
}

const CudaStream &RingDevices::orderOf(int rank, const CudaStream &callers) const {
  size_t index = indexOf(rank);
  return index == 0 ? callers : devices[index].stream;
}

void RingDevices::fork(const CudaStream &callers) const {
  if (devices.size() == 1)
    return;
  std::shared_ptr<const CudaEvent> start = devices[0].events.record(callers);
  for (size_t i = 1; i < devices.size(); ++i)
    devices[i].stream.wait(*start);
}

void RingDevices::join(const CudaStream &callers) const {
  for (size_t i = 1; i < devices.size(); ++i)
    callers.wait(*devices[i].events.record(devices[i].stream));
}

} // namespace ringc
