#pragma once

#include "ringc/comm/Rendezvous.h"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace ringc {

struct InProcessOptions {
  /// Whether ranks may read each other's memory, or get copies as they would over a network.
  bool lends = true;

  /// Whether one caller gives all ranks the same options and shapes, so that nobody has to compare.
  bool oneCaller = false;

  /// The longest that one wait may last.
  std::chrono::milliseconds deadline = Rendezvous::usualDeadline;

  /// Called before each exchange is posted, on its rank's thread. Tests delay and poison here.
  std::function<void(int rank, const Exchange &exchange)> beforePost = {};
};

struct InProcessMailroom;

/// The ranks of a world as threads of this process: a message is copied from the sender's memory to
/// the receiver's by whichever of the two posts last. Nothing is buffered in between, so a send
/// ends only when its receive is posted: order mistakes that would block elsewhere block here too.
/// What is borrowed is not copied.
class InProcessWorld {
public:
  /// Throws InputError unless world >= 1 and the deadline is positive.
  explicit InProcessWorld(int world, InProcessOptions options = {});
  ~InProcessWorld();
  InProcessWorld(InProcessWorld &&) noexcept;
  InProcessWorld &operator=(InProcessWorld &&) noexcept;

  int size() const { return int(ranks.size()); }
  Transport &at(int rank) { return *ranks[size_t(rank)]; }

  /// The rank that aborted, or found an error, before all others.
  std::optional<int> firstToFail() const;

private:
  friend void runRanks(InProcessWorld &world, const std::function<void(int rank)> &body);

  std::shared_ptr<InProcessMailroom> room;
  std::vector<std::unique_ptr<Transport>> ranks;
};

/// As runRanks of their Rendezvous.
void runRanks(InProcessWorld &world, const std::function<void(int rank)> &body);

} // namespace ringc
