#pragma once

#include "ringc/comm/Rendezvous.h"
#include "ringc/comm/StreamTransport.h"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace ringc {

struct InProcessDevicesOptions {
  enum class Callers : uint8_t {
    One,      ///< a thread gives the ranks turns, and posts both ends of a message before it waits
    EachRank, ///< each rank is a thread, and waits until its peers have posted
  };
  Callers callers = Callers::One;

  /// The longest that one wait for a peer's post may last.
  std::chrono::milliseconds deadline = Rendezvous::usualDeadline;
};

class DeviceMailroom;

/// The ranks of a world in one process, each on one of several devices, or all on one: a message is
/// a copy from the sender's memory to the receiver's, on a stream of the sender's device, given by
/// whichever of the two posts last.
///
/// So a transfer's `wait` has to know that both ends are posted: where one thread has not posted
/// the other one, it throws PeerError; where ranks are threads, it makes the caller wait for that
/// alone, and not for the copy. What is given to a device never waits for a post.
///
/// Where ranks are threads, exchanges cannot be captured in a graph: `post` and `announce` throw
/// InputError. One thread that gives them turns captures all of them.
class InProcessDevices {
public:
  /// The device of each rank. Devices that can reach each other's memory are allowed to. Throws
  /// InputError unless there are ranks and the deadline is positive.
  explicit InProcessDevices(std::vector<std::shared_ptr<const CudaDevice>> ofRanks,
                            const InProcessDevicesOptions &options = {});

  int size() const { return int(ranks.size()); }
  RemoteTransport &at(int rank) { return *ranks[size_t(rank)]; }

  /// The rank that aborted, or found an error, before all others.
  std::optional<int> firstToFail() const;

private:
  friend void runRanks(InProcessDevices &world, const std::function<void(int rank)> &body);

  std::shared_ptr<DeviceMailroom> room;
  std::vector<std::unique_ptr<RemoteTransport>> ranks;
};

/// As runRanks of their Rendezvous.
void runRanks(InProcessDevices &world, const std::function<void(int rank)> &body);

} // namespace ringc
