#pragma once

#include "ringc/ring/RingView.h"

#include <map>
#include <memory>
#include <mutex>
#include <utility>

namespace ringc {

/// Plans of ranks that run in one process with the same masks: who sees whose keys, which a ring's
/// plans ask for all of, is looked at once for all ranks of a ring. Thread safe.
class SharedPlans {
public:
  /// As ringc::planRank.
  Plan planRank(Pass pass, int rank, const RingProblem &problem, const PlaceVisibility &visibility);

  /// Before the masks change.
  void forget();

private:
  std::mutex mutex;
  std::map<int, std::pair<RingProblem, std::shared_ptr<const RingView>>> rings; ///< by number
};

} // namespace ringc
