#pragma once

#include "ringc/ring/Plan.h"

#include <cstdint>
#include <functional>

namespace ringc::testing {

inline constexpr int64_t keyBytes = 10, gradientBytes = 7;

using RowMask = std::function<bool(int64_t i, int64_t j)>;

/// Row by row, from nothing but positions.
inline PlaceVisibility visibilityOfRows(const RingProblem &problem, const RowMask &shows) {
  return [&problem, shows](int query, int owner, int chunk) {
    int size = problem.rings.ringSize;
    Positions queries =
        queryPositions(problem.layout, query, size, problem.queryLength, problem.keyLength);
    Positions keys = positions(problem.layout, owner, size, problem.keyLength);
    int64_t nq = localLength(problem.layout, query, size, problem.queryLength), shown = 0;
    RowRange rows =
        chunkOfRows(problem.layout, owner, size, problem.keyLength, chunk, problem.schedule.chunks);
    for (int64_t i = 0; i < nq; ++i)
      for (int64_t j = 0; j < rows.count; ++j)
        shown += shows(queries(i), keys(rows.begin + j));
    if (shown == 0)
      return Visibility::None;
    return shown == nq * rows.count ? Visibility::Full : Visibility::Partial;
  };
}

inline RingProblem problemOf(int world, int ringSize, SequenceLayout layout, int64_t nq,
                             int64_t nk) {
  return {.rings = {world, ringSize},
          .layout = layout,
          .queryLength = nq,
          .keyLength = nk,
          .bytesPerKey = keyBytes,
          .gradientBytesPerKey = gradientBytes};
}

} // namespace ringc::testing
