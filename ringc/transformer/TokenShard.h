#pragma once

#include "ringc/module/LayerCall.h"
#include "ringc/ring/Agreement.h"
#include "ringc/transformer/RingTransformer.h"

#include <cstdint>
#include <memory>
#include <vector>

namespace ringc {

/// The tokens that a rank computes with, and their labels: rows of its shard, entry after entry.
struct TokenShard {
  std::shared_ptr<const LayerCall> call;
  std::vector<int32_t> tokens, labels; ///< without a loss all labels are ignored
  int64_t counted = 0;                 ///< labels of all ranks that are not ignored
};

enum class TokenPass : uint8_t { Logits, Loss };

/// Checks the inputs, has all ranks compare what must be the same, with `own` first, and deals.
/// Throws InputError and DisagreementError.
TokenShard dealTokens(const RingTransformerOptions &options, ModuleBackend &backend,
                      const RingTransformerInputs &inputs, TokenPass pass, Agreement own,
                      KeptPositions &positions);

} // namespace ringc
