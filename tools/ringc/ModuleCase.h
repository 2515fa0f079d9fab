#pragma once

#include "ringc/attention/Context.h"
#include "ringc/module/RingAttention.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace ringc::cli {

/// One module on one world, with random tokens, weights and dout.
struct ModuleCase {
  RingAttentionOptions options;
  int world = 1;
  int64_t length = 31;
  int64_t batch = 2;                 ///< of all ranks; with autoShardSeq those of `batches`
  std::vector<int64_t> batches = {}; ///< of each rank

  bool keyMask = false;                ///< half of the keys, at random
  bool positions = false;              ///< random ones, of each entry
  std::vector<int32_t> cuSeqlens = {}; ///< packed documents
  std::optional<int> ringSize = {};
  bool ringOff = false;
  bool tellsWhole = false; ///< RingAttentionInputs::whole
  uint64_t seed = 1;

  std::string name() const;
};

/// Of one result on one rank against double precision, and of an eager implementation in the
/// module's type.
struct ModuleError {
  std::string result;
  int rank = 0;
  double ours = 0, plain = 0;
  double bar = 0; ///< what ours may be (Bars)
};

/// A case's tensors, and what double precision makes of them.
class ModuleCheck {
public:
  explicit ModuleCheck(const ModuleCase &module);
  ~ModuleCheck();
  ModuleCheck(ModuleCheck &&) noexcept;
  ModuleCheck &operator=(ModuleCheck &&) noexcept;

  /// Of one rank, which all others call, too: out, the gradient of the tokens and those of all
  /// weights, which is infinite where its bits are not those of rank 0. Several threads may call
  /// it.
  std::vector<ModuleError> ofRank(std::shared_ptr<ModuleBackend> backend) const;

private:
  class Impl;
  std::unique_ptr<Impl> self;
};

/// Of every rank, each a thread.
std::vector<ModuleError> errorsOf(const ModuleCase &module, const AttentionContext &context);

/// Of one rank of many, each a process or a thread.
std::vector<ModuleError> errorsOf(const ModuleCase &module, std::shared_ptr<ModuleBackend> backend);

} // namespace ringc::cli
