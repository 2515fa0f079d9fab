#include "runtime/ring/RingView.h"

#include <utility>

namespace ringc {

RingView::RingView(const RingProblem &problem, const PlaceVisibility &placeVisibility)
    : size(problem.rings.ringSize), queryRows(size), keyRows(size), visibility(placeVisibility),
      seen(size_t(size) * size, Known::No), lastNeed(size, -1) {
  for (int each = 0; each < size; ++each) {
    queryRows[each] = localLength(problem.layout, each, size, problem.queryLength);
    keyRows[each] = localLength(problem.layout, each, size, problem.keyLength);
  }
}

Visibility RingView::at(int owner, int hop) const {
  if (hop >= size || keyRows[owner] == 0)
    return Visibility::None;
  int query = owner + hop < size ? owner + hop : owner + hop - size;
  if (queryRows[query] == 0)
    return Visibility::None;
  Known &known = seen[size_t(owner) * size + hop];
  switch (known) {
  case Known::None:
    return Visibility::None;
  case Known::Partial:
    return Visibility::Partial;
  case Known::Full:
    return Visibility::Full;
  case Known::No:
    break;
  }
  Visibility visible = visibility(query, owner);
  known = visible == Visibility::None      ? Known::None
          : visible == Visibility::Partial ? Known::Partial
                                           : Known::Full;
  return visible;
}

int RingView::lastNeedOf(int owner) const {
  int &last = lastNeed[owner];
  if (last < 0)
    for (last = size - 1; last > 0 && !computes(owner, last);)
      --last;
  return last;
}

void RingView::complete() const {
  for (int owner = 0; owner < size; ++owner) {
    for (int hop = 0; hop < size; ++hop)
      (void)at(owner, hop);
    (void)lastNeedOf(owner);
  }
}

} // namespace ringc
