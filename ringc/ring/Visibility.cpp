#include "ringc/ring/Visibility.h"

#include <algorithm>
#include <cassert>
#include <vector>

namespace ringc {

std::string_view nameOf(Visibility visibility) {
  switch (visibility) {
  case Visibility::None:
    return "none";
  case Visibility::Partial:
    return "partial";
  case Visibility::Full:
    return "full";
  }
  assert(false && "not a Visibility");
  return {};
}

namespace {

struct Range {
  int64_t first, last;
};

std::vector<Range> runsOf(const ShardRows &shard) {
  // Bounds the work for one pair of shards; plans ask for all pairs of a ring.
  constexpr int64_t mostRuns = 16;
  const Positions &at = shard.positions;
  int64_t count = (shard.rows + at.block - 1) / at.block;
  if (at.jump == at.block || count > mostRuns)
    return {{at(0), at(shard.rows - 1)}};
  std::vector<Range> runs;
  for (int64_t row = 0; row < shard.rows; row += at.block)
    runs.push_back({at(row), at(std::min(row + at.block, shard.rows) - 1)});
  return runs;
}

} // namespace

Visibility visibilityOf(const ShardRows &queries, const ShardRows &keys, const BoxVisibility &box) {
  if (queries.rows == 0 || keys.rows == 0)
    return Visibility::None;
  std::vector<Range> keyRuns = runsOf(keys);
  bool anySeen = false, anyHidden = false;
  for (const Range &query : runsOf(queries)) {
    for (const Range &key : keyRuns) {
      Visibility part = box({query.first, query.last, key.first, key.last});
      if (part == Visibility::Partial)
        return part;
      (part == Visibility::None ? anyHidden : anySeen) = true;
      if (anySeen && anyHidden)
        return Visibility::Partial;
    }
  }
  return anySeen ? Visibility::Full : Visibility::None;
}

} // namespace ringc
