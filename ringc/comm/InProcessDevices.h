#pragma once

#include "ringc/comm/StreamTransport.h"

#include <memory>
#include <vector>

namespace ringc {

struct DeviceMailroom;

/// The ranks of a world in one thread, each on one of several devices, or all on one: a message is
/// a copy from the sender's memory to the receiver's, on a stream of the sender's device, given by
/// whichever of the two posts last. The thread gives the ranks turns, so that both ends of an
/// exchange are posted before one waits for it.
class InProcessDevices {
public:
  /// The device of each rank. Devices that can reach each other's memory are allowed to.
  explicit InProcessDevices(std::vector<std::shared_ptr<const CudaDevice>> ofRanks);

  int size() const { return int(ranks.size()); }
  StreamTransport &at(int rank) { return *ranks[size_t(rank)]; }

private:
  std::shared_ptr<DeviceMailroom> room;
  std::vector<std::unique_ptr<StreamTransport>> ranks;
};

} // namespace ringc
