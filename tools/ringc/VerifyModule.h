#pragma once

#include "ringc/support/EnumNames.h"
#include "tools/ringc/AttentionFlags.h"
#include "tools/ringc/Command.h"

#include <CLI/CLI.hpp>

#include <cstdint>
#include <string>

namespace ringc::cli {

/// What `ringc verify` checks.
enum class VerifyProgram : uint8_t { Attention, Flash, Module, ZigZag };

/// The flags of ring-attention-pytorch's assertion programs that `ringc verify` has not by another
/// name, with their defaults.
struct ModuleFlags {
  int64_t batchSize = 2, seqLen = 31, modelDim = 8, heads = 8, groupedQueryHeads = 2, dimHead = 16;
  int64_t numBuckets = 2, numShardedBatches = 1;
  bool batchSizeVarLen = false, stripedRingAttn = false, randomKeyMask = false;
  const CLI::Option *ranks = nullptr; ///< --ranks

  /// After --ranks.
  void addTo(CLI::App &command);
};

/// The module, forward and backward, on random input: results and all gradients of every rank
/// against double precision. Prints a table. Throws InputError for flags that cannot be.
int verifyModule(const Session &session, const AttentionFlags &attention, const ModuleFlags &module,
                 const std::string &program, uint64_t seed);

} // namespace ringc::cli

template <> struct ringc::EnumNames<ringc::cli::VerifyProgram> {
  static constexpr std::array<std::pair<cli::VerifyProgram, std::string_view>, 4> table = {
      {{cli::VerifyProgram::Attention, "attention"},
       {cli::VerifyProgram::Flash, "flash"},
       {cli::VerifyProgram::Module, "module"},
       {cli::VerifyProgram::ZigZag, "zigzag"}}};
};
