#include "ringc/module/BatchDeal.h"

#include <algorithm>
#include <numeric>

namespace ringc {

int64_t BatchDeal::batch() const {
  return std::accumulate(batches.begin(), batches.end(), int64_t(0));
}

BatchRange BatchDeal::entriesOfRank(int rank) const {
  return {std::accumulate(batches.begin(), batches.begin() + rank, int64_t(0)),
          batches[size_t(rank)]};
}

BatchRange BatchDeal::entriesOfRing(int ring) const {
  return batchOfRing(batch(), rings.rings(), ring);
}

int64_t BatchDeal::shardRows(int rank) const {
  return localLength(layout, rings.placeOf(rank), rings.ringSize, length);
}

BatchRange BatchDeal::shared(int owner, int holder) const {
  BatchRange own = entriesOfRank(owner), held = shardEntries(holder);
  int64_t begin = std::max(own.begin, held.begin),
          end = std::min(own.begin + own.count, held.begin + held.count);
  return {begin, std::max(end - begin, int64_t(0))};
}

} // namespace ringc
