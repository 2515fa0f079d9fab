#pragma once

#include "ringc/Tensor.h"
#include "ringc/ring/SequenceLayout.h"

#include <span>

namespace ringc {

/// Copies the rows of `global` along `axis` that belong to `rank`, in the order of their positions.
HostTensor shard(const Tensor &global, int axis, const SequenceLayout &layout, int rank, int world);

/// As `shard`, into memory of the caller; throws InputError when the shapes do not agree.
void shardInto(const Tensor &global, int axis, const SequenceLayout &layout, int rank, int world,
               const Tensor &local);

/// The inverse for one rank: writes the rows of `local` to their places in `global`.
void unshardInto(const Tensor &local, int axis, const SequenceLayout &layout, int rank, int world,
                 const Tensor &global);

/// The inverse for all ranks: shards[r] is rank r's; the length is the sum of theirs. Throws
/// InputError when they are not the shards of one tensor.
HostTensor unshard(std::span<const Tensor> shards, int axis, const SequenceLayout &layout);

/// `tensor` with zeros appended along `axis` up to `length`, which is not less than its own.
HostTensor pad(const Tensor &tensor, int axis, int64_t length);

/// The inverse of `pad`: the first `length` rows; shares memory.
Tensor unpad(const Tensor &tensor, int axis, int64_t length);

} // namespace ringc
