#pragma once

#include "ringc/support/EnumNames.h"
#include "tools/ringc/AttentionFlags.h"
#include "tools/ringc/WorldCommand.h"

#include <CLI/CLI.hpp>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace ringc::cli {

/// What `ringc verify` checks.
enum class VerifyProgram : uint8_t { Attention, Flash, Module, ZigZag, Assert, Decode, Tree };

/// The flags of ring-attention-pytorch's assertion programs that `ringc verify` has not by another
/// name, with their defaults.
struct ModuleFlags {
  int64_t batchSize = 2, seqLen = 31, modelDim = 8, heads = 8, groupedQueryHeads = 2, dimHead = 16;
  int64_t numBuckets = 2, numShardedBatches = 1;
  bool batchSizeVarLen = false, stripedRingAttn = false, randomKeyMask = false;

  void addTo(CLI::App &command);
};

/// Those of decoding.
struct DecodeProgramFlags {
  int64_t count = 20;
  std::optional<int64_t> page, split;
  int64_t batch = 1, dim = 64; ///< of tree

  void addTo(CLI::App &command);
};

struct VerifyFlags {
  AttentionFlags attention;
  WorldFlags world;
  ModuleFlags module;
  DecodeProgramFlags decode;
  std::string program;
  std::string shape; ///< empty: the program's
  uint64_t seed = 1;

  VerifyProgram what() const { return parseEnum<VerifyProgram>("program", program); }
  /// "--ranks"
  bool isGiven(const std::string &flag) const { return world.app->get_option(flag)->count() > 0; }
};

/// Throws InputError for a flag that the program does not have.
void refuseOtherFlags(const VerifyFlags &flags);

/// Throws InputError unless low <= value <= high.
void requireInteger(const char *flag, int64_t value, int64_t low, int64_t high);

} // namespace ringc::cli

template <> struct ringc::EnumNames<ringc::cli::VerifyProgram> {
  static constexpr std::array<std::pair<cli::VerifyProgram, std::string_view>, 7> table = {
      {{cli::VerifyProgram::Attention, "attention"},
       {cli::VerifyProgram::Flash, "flash"},
       {cli::VerifyProgram::Module, "module"},
       {cli::VerifyProgram::ZigZag, "zigzag"},
       {cli::VerifyProgram::Assert, "assert"},
       {cli::VerifyProgram::Decode, "decode"},
       {cli::VerifyProgram::Tree, "tree"}}};
};
