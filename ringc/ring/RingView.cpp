#include "ringc/ring/RingView.h"

#include <utility>

namespace ringc {

RingView::RingView(const RingProblem &problem, const PlaceVisibility &placeVisibility)
    : size(problem.rings.ringSize), chunks(problem.schedule.chunks), queryRows(size_t(size)),
      visibility(placeVisibility), seen(size_t(size) * size_t(size) * size_t(chunks), Known::No),
      lastNeed(size_t(size) * size_t(chunks), -1) {
  for (int each = 0; each < size; ++each)
    queryRows[size_t(each)] = localLength(problem.layout, each, size, problem.queryLength);
  for (int chunk = 0; chunk < chunks; ++chunk)
    for (int owner = 0; owner < size; ++owner)
      keyRows.push_back(chunkOfRows(problem.layout, owner, size, problem.keyLength, chunk, chunks));
}

Visibility RingView::at(int owner, int chunk, int hop) const {
  if (hop >= size || keyRows[indexOf(owner, chunk)].count == 0)
    return Visibility::None;
  int query = owner + hop < size ? owner + hop : owner + hop - size;
  if (queryRows[size_t(query)] == 0)
    return Visibility::None;
  Known &known = seen[indexOf(owner, chunk) * size_t(size) + size_t(hop)];
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
  Visibility visible = visibility(query, owner, chunk);
  known = visible == Visibility::None      ? Known::None
          : visible == Visibility::Partial ? Known::Partial
                                           : Known::Full;
  return visible;
}

int RingView::lastNeedOf(int owner, int chunk) const {
  int &last = lastNeed[indexOf(owner, chunk)];
  if (last < 0)
    for (last = size - 1; last > 0 && at(owner, chunk, last) == Visibility::None;)
      --last;
  return last;
}

void RingView::complete() const {
  for (int chunk = 0; chunk < chunks; ++chunk)
    for (int owner = 0; owner < size; ++owner) {
      for (int hop = 0; hop < size; ++hop)
        (void)at(owner, chunk, hop);
      (void)lastNeedOf(owner, chunk);
    }
}

} // namespace ringc
