#include "ringc/ring/SharedPlans.h"

namespace ringc {

Plan SharedPlans::planRank(Pass pass, int rank, const RingProblem &problem,
                           const PlaceVisibility &visibility) {
  checkPlanned(problem, rank);
  if (problem.schedule.kind != Schedule::Kind::Ring) // looks at its own pairs alone
    return ringc::planRank(pass, rank, problem, visibility);
  std::shared_ptr<const RingView> view;
  {
    std::lock_guard lock(mutex);
    auto &[knownProblem, known] = rings[problem.rings.ringOf(rank)];
    if (!known || knownProblem != problem) {
      auto fresh = std::make_shared<RingView>(problem, visibility);
      fresh->complete();
      knownProblem = problem;
      known = std::move(fresh);
    }
    view = known;
  }
  return planOf(pass, rank, problem, *view);
}

void SharedPlans::forget() {
  std::lock_guard lock(mutex);
  rings.clear();
}

} // namespace ringc
