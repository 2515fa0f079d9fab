#pragma once

#include "ringc/attention/Attention.h"
#include "ringc/ring/Plan.h"
#include "ringc/tune/Roofline.h"

namespace ringc {

/// Pairs of a query and a key of one head, as others count them: half are visible under a causal
/// mask. Those of a window are counted one by one; other masks are not counted.
double visiblePairs(const AttentionOptions &options, const AttentionShape &shape);

/// Of one pass over all heads: 2 products of a forward and 5 of a backward for each visible pair,
/// whatever a kernel computes again; q, k, v, out and lse, and for a backward dout, dq, dk and dv,
/// once. `options` are complete.
RooflineWork passWork(const AttentionOptions &options, const AttentionShape &shape, Pass pass);

} // namespace ringc
