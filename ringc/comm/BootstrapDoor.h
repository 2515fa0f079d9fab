#pragma once

#include "ringc/comm/BootstrapMessages.h"
#include "ringc/comm/Socket.h"

#include <chrono>
#include <list>
#include <set>
#include <string>

namespace ringc {

/// Rank 0's side of the bootstrap: all who have come are heard at the same time, and each rank gets
/// one place.
class BootstrapDoor {
public:
  using Clock = std::chrono::steady_clock;

  BootstrapDoor(Socket listening, const ProcessRank &process, const NcclUniqueId &id);
  ~BootstrapDoor();

  /// Returns when each other rank has confirmed that it has the id. Throws NcclError, which names
  /// those who did not come by then, and whom it refused.
  void serve(Clock::time_point end);

private:
  struct Guest;

  void letIn(Clock::time_point end);
  void hear(Guest &guest);
  void answer(Guest &guest, const bootstrap::Greeting &greeting);
  bootstrap::Verdict judge(const Guest &guest, const bootstrap::Greeting &greeting) const;
  bool isBusy(uint32_t rank) const;
  void makeRoom();

  Socket door;
  const ProcessRank &process;
  const NcclUniqueId &id;
  std::set<int> absent;
  std::list<Guest> guests;
  Clock::time_point closedUntil{}; ///< where the system lets nobody in
  std::string refused;             ///< the last one, and why
};

} // namespace ringc
