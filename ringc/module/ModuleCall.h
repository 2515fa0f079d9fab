#pragma once

#include "ringc/module/ModuleBackend.h"
#include "ringc/module/RingAttention.h"

#include <cstdint>
#include <optional>

namespace ringc {

/// One call of a module as one rank sees it: what it holds while it attends.
struct ModuleCall {
  bool ring = false;                                    ///< else the rank is alone
  int ringSize = 1;                                     ///< ranks of a ring
  SequenceLayout layout = SequenceLayout::contiguous(); ///< of a ring of several
  std::optional<BatchDeal> deal;                        ///< where tokens come by batch
  AttentionShape whole;                                 ///< of all rings, or of this rank alone
  Positions rowPositions;                               ///< of the rows of this rank
  int64_t batch = 0, rows = 0;                          ///< of this rank's shard
};

/// Checks the inputs but for the type of the tokens, [b, n, ..]; has all ranks compare what must be
/// the same, with `own` first, and tell each other what they hold. Throws InputError and
/// DisagreementError.
ModuleCall resolve(const RingAttentionOptions &options, ModuleRanks &ranks,
                   const RingAttentionInputs &inputs, Agreement own);

/// i32: the positions by which this rank's rows turn, where the caller has none: those of the whole
/// sequence, or of the row's document.
HostTensor rotaryPositions(const ModuleCall &call, const std::optional<Tensor> &cuSeqlens);

} // namespace ringc
