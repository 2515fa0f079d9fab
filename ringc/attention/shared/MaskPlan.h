#pragma once

#include "ringc/attention/shared/Extents.h"
#include "ringc/compiler/predicate/Visibility.h"
#include "ringc/compiler/spec/CompiledKernel.h"
#include "ringc/ring/Plan.h"

#include <optional>

namespace ringc {

/// What a plan needs to know of the mask that is compiled into a kernel: its expression, and of its
/// parameters those that every rank knows alike, the scalars and the documents.
struct MaskFacts {
  std::optional<predicate::Expression> mask; ///< absent: all is visible
  predicate::ParameterValues scalars;
  std::optional<Tensor> cuSeqlens;
  int64_t heads = 1;
};

/// Which shards see which, for `planRank`.
PlaceVisibility placeVisibility(const RingProblem &ring, const RankProblem &problem,
                                const MaskFacts &facts);

} // namespace ringc
