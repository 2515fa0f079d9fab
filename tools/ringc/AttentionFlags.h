#pragma once

#include "ringc/attention/Attention.h"
#include "ringc/files/ReadOptions.h"
#include "tools/ringc/Command.h"

#include <CLI/CLI.hpp>

#include <optional>
#include <string>
#include <vector>

namespace ringc::cli {

/// The options that `run` and `verify` share, as text.
struct AttentionFlags {
  int ranks = 1;
  int ringSize = 0;
  std::string layout = "contiguous";
  std::string schedule = "auto";
  bool causal = false;
  std::string window;
  int64_t prefix = 0;
  std::optional<double> softcap;
  bool alibi = false;
  std::string alibiSlopes; ///< "paper" or a file; empty: 2^(-8 (h + 1) / heads)
  std::vector<std::string> masks, scores, arguments;
  std::string bias, keyMask, cuSeqlens;
  std::optional<double> scale;
  std::string headMap = "blocked";
  std::string backward; ///< empty: the default of the device
  std::string dtype;    ///< empty: that of the files
  std::string f32 = "3xtf32";
  std::string device = "cpu";
  int threads = 0;
  std::string tile;

  void addTo(CLI::App &command);
  /// Of these, --window, --softcap, --alibi and --alibi-slopes alone.
  void addWindowAndScoresTo(CLI::App &command);
  /// Of these, --mask, --score and --arg alone; --scale and --kv-head-map.
  void addFunctionsTo(CLI::App &command);
  void addHeadsTo(CLI::App &command);
  /// Of these, --schedule alone.
  void addScheduleTo(CLI::App &command);
};

/// Masks, bias and arguments read from their files, and the memory of all.
struct SideInputs {
  AttentionInputs inputs; ///< without q, k, v
  std::vector<HostTensor> memory;
};

/// All that the flags say but heads, head dims and dtype. Throws InputError.
AttentionOptions optionsOf(const AttentionFlags &flags);
/// `session` says what was taken for granted about the files.
SideInputs readSideInputs(const Session &session, const AttentionFlags &flags);

/// Sets ALiBi's slopes where the flags say so, for the options' heads. Throws InputError.
void setAlibiSlopes(const Session &session, const AttentionFlags &flags, AttentionOptions &options);

/// How the files of tensors are read that are computed with: in the type of --dtype, if it is
/// given.
ReadOptions floatInputs(const Session &session, const AttentionFlags &flags);

/// `readTensor`, whose errors then begin with the flag.
HostTensor readFile(const std::string &flag, const std::string &source, const ReadOptions &options);

/// All files that the flags name: tensors as FILE:NAME, and texts.
std::vector<std::string> sourcesOf(const AttentionFlags &flags);

/// Throws InputError unless the ranks, threads and device can be.
void checkMachine(const AttentionFlags &flags);

/// "f32", "f16", "bf16". Throws InputError.
DType parseFloatType(const std::string &text);

/// "q=64,kv=128". Throws InputError.
std::map<std::string, int64_t> parseTile(const std::string &text);

/// Numbers of a list such as "-1,0". Throws InputError naming `argument` and `allowed`.
std::vector<int64_t> parseIntegers(const std::string &argument, const std::string &text,
                                   const std::string &allowed);

} // namespace ringc::cli
