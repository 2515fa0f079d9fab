#include "tools/ringc/VerifyFlags.h"

#include "ringc/support/Error.h"
#include "tools/ringc/Numbers.h"

#include <algorithm>
#include <vector>

namespace ringc::cli {

namespace {

/// Flags that not all programs have, and those that do.
struct FlagUse {
  std::vector<const char *> flags;
  std::vector<VerifyProgram> programs;
};

std::vector<FlagUse> flagUses() {
  using enum VerifyProgram;
  return {
      {{"--shape"}, {Attention, Flash, Decode}},
      {{"--prefix", "--mask", "--score", "--arg", "--scale", "--kv-head-map", "--tile", "--alibi",
        "--alibi-slopes"},
       {Attention, Flash, Decode}},
      {{"--bias", "--key-mask", "--cu-seqlens", "--ring-size", "--schedule", "--backward"},
       {Attention, Flash}},
      {{"--layout"}, {Attention, Flash, Module, ZigZag, Assert}},
      {{"--causal", "--window", "--softcap"}, {Attention, Flash, Module, ZigZag, Assert, Decode}},
      {{"--batch-size", "--batch-size-var-len", "--num-sharded-batches", "--num-buckets",
        "--model-dim", "--dim-head", "--striped-ring-attn", "--random-key-mask"},
       {Module, ZigZag, Assert}},
      {{"--seq-len", "--heads", "--num-grouped-query-heads"}, {Module, ZigZag, Assert, Tree}},
      {{"--count", "--page", "--split"}, {Decode}},
      {{"--batch", "--dim"}, {Tree}},
  };
}

} // namespace

void refuseOtherFlags(const VerifyFlags &flags) {
  VerifyProgram program = flags.what();
  for (const FlagUse &use : flagUses()) {
    if (std::ranges::find(use.programs, program) != use.programs.end())
      continue;
    std::string programs;
    for (VerifyProgram each : use.programs)
      programs += (programs.empty() ? "" : ", ") + std::string(enumName(each));
    for (const char *flag : use.flags)
      if (flags.isGiven(flag))
        throw InputError("program", std::string(enumName(program)) + " with " + flag, programs);
  }
}

void requireInteger(const char *flag, int64_t value, int64_t low, int64_t high) {
  if (value < low || value > high)
    throw InputError(flag, std::to_string(value),
                     std::to_string(low) + " to " + std::to_string(high));
}

void ModuleFlags::addTo(CLI::App &command) {
  std::string group =
      "Of --program module, zigzag and assert (--ranks: 8 unless given, on a device 1)";
  auto number = [&](const char *name, int64_t &into, const char *what) {
    addNumber(command, name, into, what)->capture_default_str()->group(group);
  };
  number("--batch-size", batchSize, "Entries of each rank");
  command.add_flag("--batch-size-var-len", batchSizeVarLen, "Rank r has r entries more")
      ->group(group);
  number("--num-sharded-batches", numShardedBatches, "Rings that the world holds");
  number("--num-buckets", numBuckets, "Of the rows of a rank; changes no result");
  number("--seq-len", seqLen, "Tokens of an entry; of tree, too");
  number("--model-dim", modelDim, "Elements of a token");
  number("--heads", heads, "Of queries; of tree, too");
  number("--num-grouped-query-heads", groupedQueryHeads,
         "Query heads for each KV head; of tree, too: 1 and all, unless given");
  number("--dim-head", dimHead, "Elements of a head");
  command.add_flag("--striped-ring-attn", stripedRingAttn, "Rows are dealt in stripes")
      ->group(group);
  command.add_flag("--random-key-mask", randomKeyMask, "Half of the keys are hidden")->group(group);
}

void DecodeProgramFlags::addTo(CLI::App &command) {
  std::string decode = "Of --program decode (random, where no flag says it)",
              tree = "Of --program tree (--ranks: 8 unless given, on a device 1)";
  addNumber(command, "--count", count, "Problems, of the seeds S, S + 1 and on")
      ->type_name("N")
      ->capture_default_str()
      ->group(decode);
  addNumber(command, "--page", page, "Rows of a page; 0: keys lie side by side")
      ->type_name("ROWS")
      ->group(decode);
  addNumber(command, "--split", split,
            "Keys that a program attends to, a multiple of 64; 0: as fills the processors")
      ->type_name("KEYS")
      ->group(decode);
  addNumber(command, "--batch", batch, "Entries")->capture_default_str()->group(tree);
  addNumber(command, "--dim", dim, "Elements of a head")->capture_default_str()->group(tree);
}

} // namespace ringc::cli
