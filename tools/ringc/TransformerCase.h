#pragma once

#include "ringc/attention/Context.h"
#include "ringc/transformer/RingTransformer.h"
#include "tools/ringc/ModuleCase.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace ringc::cli {

/// One transformer on one world, with random tokens and weights.
struct TransformerCase {
  RingTransformerOptions options;
  int world = 1;
  int64_t length = 31;
  int64_t batch = 2;                 ///< of all ranks; with autoShardSeq those of `batches`
  std::vector<int64_t> batches = {}; ///< of each rank

  bool labels = true;                  ///< given, some ignored; else the next tokens
  bool keyMask = false;                ///< half of the keys, at random
  std::vector<int32_t> cuSeqlens = {}; ///< packed documents
  std::optional<int> ringSize = {};
  bool ringOff = false;
  bool tellsWhole = false; ///< RingTransformerInputs::whole
  uint64_t seed = 1;

  std::string name() const;
};

/// Of the logits, the loss and the gradients of all weights, on every rank, against double
/// precision; and an infinite one where ranks have a loss or gradients of other bits.
std::vector<ModuleError> errorsOf(const TransformerCase &transformer,
                                  const AttentionContext &context);

/// The same of one rank of many, each a process or a thread.
std::vector<ModuleError> errorsOf(const TransformerCase &transformer,
                                  std::unique_ptr<ModuleBackend> backend);

} // namespace ringc::cli
