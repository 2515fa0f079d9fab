#pragma once

#include "ringc/comm/Nccl.h"
#include "ringc/comm/NcclCommunicator.h"
#include "ringc/driver/CudaEventPool.h"
#include "ringc/driver/CudaMemory.h"

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace ringc {

/// What an NcclTransport and its transfers share: the stream on which messages move, and the thread
/// that watches them.
struct NcclLink {
  using Event = std::shared_ptr<const CudaEvent>;

  NcclLink(std::shared_ptr<const CudaDevice> on, NcclCommunicator made, const NcclOptions &options);
  ~NcclLink();
  NcclLink(const NcclLink &) = delete;
  NcclLink &operator=(const NcclLink &) = delete;

  int rank() const { return communicator.rank(); }
  int world() const { return communicator.world(); }
  void follow(const CudaStream &next) { follower = &next; }

  /// An exchange of which NCCL has been told.
  struct Posted;
  std::shared_ptr<Posted> post(const Exchange &exchange);
  /// Makes the followed stream wait for it.
  void join(Posted &exchange);
  /// Returns when nothing that was posted is under way any more, in good order or given up.
  void finish() noexcept;
  /// Downloads what an exchange has brought, behind all that were posted; `join` waits for it, too.
  void bringHome(Posted &exchange, void *toHost, const void *from, int64_t bytes);
  bool isCapturing() const { return follower->isCapturing(); }
  /// Of a peer that did what it should not have done.
  void failAt(int peer, std::string_view what) noexcept {
    fail({.peer = peer, .hop = 0, .channel = Channel::Plans}, what);
  }
  std::vector<std::vector<std::byte>> gather(std::span<const int> ranks,
                                             std::span<const std::byte> own);
  void check() const;
  void wait(const CudaStream &stream);
  void abort(std::string_view reason) noexcept;

  const std::shared_ptr<const CudaDevice> device;
  int64_t sent = 0, received = 0;

private:
  /// Whose turn it is, for messages.
  struct Place {
    int peer = 0, hop = 0;
    Channel channel = Channel::Keys;
  };
  /// An exchange that has been given to the device.
  struct Watched {
    Place place;
    Event start, end; ///< all before it is over; it is over
    std::optional<std::chrono::steady_clock::time_point> running;
  };
  struct Failure {
    Place place;
    std::string what;
  };

  /// Lets NCCL finish giving the device what it was told last.
  void settle();
  static Place placeOf(const Exchange &exchange);
  std::string deadlineText() const;
  void fail(const Place &place, std::string_view what) noexcept;
  void watch(const std::stop_token &stop);
  /// Whether it found a failure; forgets what is over.
  bool look();

  const NcclOptions options;
  NcclCommunicator communicator;
  CudaStream stream;
  CudaEventPool events;
  const CudaStream *follower = nullptr;
  std::shared_ptr<Posted> begun; ///< that NCCL may not have given to the device yet
  std::optional<Place> captured; ///< the first exchange of captured work
  DeviceMemory staging;          ///< of `gather`

  mutable std::mutex mutex; ///< of what follows
  mutable std::condition_variable_any changed;
  std::deque<Watched> watched;
  std::optional<Failure> failure;
  bool givenUp = false; ///< the communicator, behind `failure`

  std::jthread watcher; ///< last: it ends before what it uses
};

struct NcclLink::Posted {
  Place place;
  Event start, end; ///< no start in captured work; the end once settled
  NcclResult state = NcclResult::Success;
  int64_t sendBytes = 0, receiveBytes = 0;
};

} // namespace ringc
