#pragma once

#include "ringc/attention/device/DeviceCode.h"
#include "ringc/driver/CudaEventPool.h"
#include "ringc/driver/CudaStream.h"

#include <cstddef>
#include <deque>
#include <memory>
#include <vector>

namespace ringc {

/// The devices of a world whose ranks have one caller, and the streams on which these work.
/// Consecutive ranks share a device: the first devices have one more where the ranks do not divide.
class RingDevices {
public:
  /// Throws InputError for no ranks, no devices, and for a device named twice.
  RingDevices(int world, std::vector<DeviceContext> contexts);

  int world() const { return ranks; }
  size_t count() const { return devices.size(); }
  const DeviceContext &at(size_t index) const { return devices[index].context; }
  /// Throws InputError for a rank that is none.
  size_t indexOf(int rank) const;
  const DeviceContext &of(int rank) const { return at(indexOf(rank)); }
  /// By rank.
  std::vector<std::shared_ptr<const CudaDevice>> ofRanks() const;

  /// Where the work of a rank goes: the caller's stream, of the first device, or its device's own.
  const CudaStream &orderOf(int rank, const CudaStream &callers) const;
  /// The other devices start after what the caller's stream was given before, and it goes on after
  /// them.
  void fork(const CudaStream &callers) const;
  void join(const CudaStream &callers) const;

private:
  struct Device {
    explicit Device(DeviceContext given)
        : context(std::move(given)), stream(context.device), events(context.device) {}

    DeviceContext context;
    CudaStream stream;
    CudaEventPool events;
  };

  int ranks;
  std::deque<Device> devices; ///< addresses stay
};

} // namespace ringc
