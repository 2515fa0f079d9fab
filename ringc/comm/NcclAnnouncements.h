#pragma once

#include "ringc/comm/Transport.h"
#include "ringc/driver/CudaMemory.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace ringc {

struct NcclLink;

/// What ranks say of their calls in the order of streams, where nobody waits for it: it is compared
/// when it has come. Each rank's record has one size for as long as this lives.
class NcclAnnouncements {
public:
  explicit NcclAnnouncements(std::shared_ptr<NcclLink> link);
  ~NcclAnnouncements();

  /// To and from all others of `ranks`. `onDevice` holds what `own` does, and lives until it is
  /// over; so do the transfer and this. Waiting for the transfer makes the followed stream wait.
  std::unique_ptr<Transfer> announce(std::span<const int> ranks, std::span<const std::byte> own,
                                     const void *onDevice);

  /// Fails the link where one of those that have come is another than this rank's.
  void compare();

private:
  class Announced;
  /// Of one call, or of one call in a graph, each time it is replayed.
  struct Slot {
    std::vector<int> peers;
    std::vector<std::byte> expected; ///< empty: nothing is under way
    bool captured = false;
  };

  size_t takeSlot(bool capturing);
  std::span<std::byte> heardOnDevice(size_t slot, size_t peer);
  std::span<std::byte> heard(size_t slot, size_t peer);
  /// Whether all of them have come.
  bool compare(size_t slot);

  std::shared_ptr<NcclLink> link;
  size_t recordBytes = 0, peers = 0;
  DeviceMemory device;
  PinnedMemory host;
  std::vector<Slot> slots;
  size_t next = 0, nextCaptured = 0;
};

} // namespace ringc
