#pragma once

#include "ringc/comm/InProcessDevices.h"
#include "ringc/comm/Rendezvous.h"
#include "ringc/driver/CudaEventPool.h"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace ringc {

/// One end of a message.
struct DeviceMessage {
  enum class Kind : uint8_t {
    Copied,   ///< between memory of devices, in the order of streams
    Told,     ///< between memory of the host, at once
    Compared, ///< both ends are the host's, and should hold the same
  };
  enum class Direction : uint8_t { Send, Receive };

  int peer = 0;
  Direction direction = Direction::Send;
  void *bytes = nullptr;
  int64_t count = 0;
  Kind kind = Kind::Copied;
};

/// Where ranks of one process, each on a device, leave their ends of messages, and the streams on
/// which these move. Safe to use from many threads; each rank is one at a time.
class DeviceMailroom : public Rendezvous {
public:
  using Event = std::shared_ptr<const CudaEvent>;
  using Callers = InProcessDevicesOptions::Callers;

  /// The exchange of one rank: what has begun to move of it.
  struct Posted {
    int rank = 0, hop = 0;
    Channel channel = Channel::Keys;
    Event from;                   ///< in the followed stream: memory may be used after it
    std::vector<std::byte> own;   ///< that are compared
    std::vector<Event> over = {}; ///< one for each copy
    std::vector<int> open = {};   ///< peers of parts whose other end is not posted
  };

  DeviceMailroom(std::vector<std::shared_ptr<const CudaDevice>> ofRanks,
                 const InProcessDevicesOptions &options);

  /// What `stream`, of the rank's device, has been given so far.
  Event record(int rank, const CudaStream &stream) { return lineOf(rank).events.record(stream); }

  /// Leaves all ends, and starts the messages whose other end is there. Throws PeerError where a
  /// rank has failed or does something else; then, as with a CudaError, all ranks fail.
  void post(const std::shared_ptr<Posted> &exchange, std::span<const DeviceMessage> ends);

  /// Returns when all other ends are there, and `exchange.over` is complete. Throws PeerError.
  void await(const Posted &exchange);

  /// Takes back the ends that wait. Afterwards only copies that have begun touch their memory.
  void withdraw(const Posted &exchange) noexcept;

  const std::vector<std::shared_ptr<const CudaDevice>> devices; ///< by rank
  const Callers callers;

private:
  struct End {
    std::shared_ptr<Posted> exchange;
    DeviceMessage message;
  };
  struct Lane {
    std::deque<End> sends, receives; ///< one of them is empty
  };
  /// Where a device's copies run.
  struct CopyLine {
    explicit CopyLine(const std::shared_ptr<const CudaDevice> &device)
        : stream(device, CudaStream::Priority::Highest), events(device) {}

    CudaStream stream;
    CudaEventPool events;
  };

  CopyLine &lineOf(int rank) { return lines.at(devices[size_t(rank)].get()); }
  void meet(End mine);
  static void requireFit(const End &mine, const End &other);
  static std::string describe(const End &end);
  void move(const End &from, const End &to);
  void copy(const End &from, const End &to);

  std::map<const CudaDevice *, CopyLine> lines;
  std::set<std::pair<const CudaDevice *, const CudaDevice *>> reaching; ///< from, to
  std::map<std::pair<int, int>, Lane> lanes;                            ///< from, to
};

} // namespace ringc
