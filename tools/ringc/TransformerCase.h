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

/// A case's tensors, and what double precision makes of them.
class TransformerCheck {
public:
  explicit TransformerCheck(const TransformerCase &transformer);
  ~TransformerCheck();
  TransformerCheck(TransformerCheck &&) noexcept;
  TransformerCheck &operator=(TransformerCheck &&) noexcept;

  /// Of one rank, which all others call, too: logits, loss and the gradients of all weights; loss
  /// and gradients are infinite where their bits are not those of rank 0. Several threads may call
  /// it.
  std::vector<ModuleError> ofRank(std::shared_ptr<ModuleBackend> backend) const;

private:
  class Impl;
  std::unique_ptr<Impl> self;
};

/// Of every rank, each a thread.
std::vector<ModuleError> errorsOf(const TransformerCase &transformer,
                                  const AttentionContext &context);

} // namespace ringc::cli
