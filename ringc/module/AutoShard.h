#pragma once

#include "ringc/Tensor.h"
#include "ringc/module/BatchDeal.h"

#include <cstdint>

namespace ringc {

class Transport;

/// What the ranks of a world that each bring some entries [own batch, length, ...] deal to each
/// other; batches may differ, and be zero. `ringSize` divides the world; 0 is all of it. Called by
/// all ranks; throws InputError for what cannot be, and DisagreementError where lengths, layouts or
/// ring sizes differ.
BatchDeal dealBatch(Transport &transport, int64_t ownBatch, int64_t length,
                    const SequenceLayout &layout, int ringSize = 0);

/// From batch to sequence: of `own` [own batch, length, ...] of each rank the shard
/// [entries of the ring, rows of the place, ...] of this one, row-major. Each element goes from its
/// owner to the one rank that holds it, and nowhere else: a share of what an all-gather brings.
/// Called by all ranks with the same deal, and any type and further axes, the same on all. Throws
/// InputError for a tensor that is none of the deal's, PeerError where a rank fails.
///
/// As no element is on two ranks, the gradient of what it wrote, by `gatherSharded`, is the
/// gradient of what it read: what scatters and reduces behind an all-gather has one summand here.
HostTensor autoShard(Transport &transport, const Tensor &own, const BatchDeal &deal);

/// From sequence to batch, the inverse; its gradient comes by `autoShard`.
HostTensor gatherSharded(Transport &transport, const Tensor &shard, const BatchDeal &deal);

} // namespace ringc
