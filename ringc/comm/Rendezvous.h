#pragma once

#include "ringc/comm/Transport.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ringc {

/// What a rank waits for.
struct Awaited {
  int peer, hop;
  Channel channel;
};

/// Where ranks of one process wait for each other, and hear that one of them has failed. What they
/// meet over is guarded by the same mutex.
class Rendezvous {
public:
  /// Ranks of one process cannot vanish, so a deadline only bounds how uneven their work may be.
  static constexpr std::chrono::milliseconds usualDeadline = std::chrono::hours(1);

  /// Throws InputError unless ranks >= 1 and the deadline, of one wait, is positive.
  Rendezvous(int ranks, std::chrono::milliseconds deadline);

  int world() const { return int(waiting.size()); }

  /// Ends all waits; only the first failure is kept.
  void fail(int rank, std::string_view reason) noexcept;
  std::optional<int> firstToFail() const;

  /// Under the mutex.
  bool hasFailed() const { return failedRank >= 0; }
  /// Under the mutex: throws PeerError, of what `rank` was about to do, where one has failed.
  void requireNoFailure(int rank, int hop, Channel channel) const;

  /// Waits, however long, until `over` holds.
  template <typename Over>
  void waitUntil(int rank, std::unique_lock<std::mutex> &lock, const Over &over) {
    (void)sleep(rank, lock, {}, over);
  }

  /// Waits until `over` holds. Throws PeerError about `late()`, and lets go of the lock, where a
  /// rank fails or the deadline passes before; by the latter this one fails.
  template <typename Over, typename Late>
  void await(int rank, std::unique_lock<std::mutex> &lock, const Over &over, const Late &late) {
    bool inTime = sleep(rank, lock, deadline, [&] { return over() || hasFailed(); });
    if (!over())
      giveUp(rank, lock, late(), inTime);
  }

  /// A rank is woken for what it waits for alone: each waking costs the kernels beside it a
  /// processor. Under the mutex.
  void wake(int rank) {
    if (std::ranges::any_of(waiting[size_t(rank)], [](auto *over) { return (*over)(); }))
      arrived[rank].notify_all();
  }

  mutable std::mutex mutex;

private:
  /// As a condition variable does. Returns whether `over` was so in time.
  template <typename Over>
  bool sleep(int rank, std::unique_lock<std::mutex> &lock,
             std::optional<std::chrono::milliseconds> atMost, const Over &over) {
    if (over())
      return true;
    std::function<bool()> asked = std::cref(over);
    std::vector<const std::function<bool()> *> &ofRank = waiting[size_t(rank)];
    ofRank.push_back(&asked);
    bool inTime = true;
    if (atMost)
      inTime = arrived[rank].wait_for(lock, *atMost, over);
    else
      arrived[rank].wait(lock, over);
    std::erase(ofRank, &asked);
    return inTime;
  }

  [[noreturn]] void giveUp(int rank, std::unique_lock<std::mutex> &lock, const Awaited &late,
                           bool inTime);
  std::string failureText() const;

  const std::chrono::milliseconds deadline;
  std::vector<std::vector<const std::function<bool()> *>> waiting; ///< of each rank: what for
  std::unique_ptr<std::condition_variable[]> arrived;              ///< one for each rank
  int failedRank = -1;
  std::string failure;
};

/// Runs body(rank) on one thread for each rank and joins them. When some throw, fails for them, so
/// that the others end, and rethrows the error of the first to fail: not what the others make of
/// it.
void runRanks(Rendezvous &ranks, const std::function<void(int rank)> &body);

} // namespace ringc
