#include "tools/ringc/VerifyModule.h"

#include "ringc/Env.h"
#include "ringc/comm/ProcessRank.h"
#include "ringc/jit/HostCompiler.h"
#include "ringc/support/Error.h"
#include "tools/ringc/ModuleCase.h"
#include "tools/ringc/Numbers.h"
#include "tools/ringc/Table.h"

#include <iostream>
#include <vector>

namespace ringc::cli {

namespace {

constexpr int usualRanks = 8;

void requireInteger(const char *flag, int64_t value, int64_t low, int64_t high) {
  if (value < low || value > high)
    throw InputError(flag, std::to_string(value),
                     std::to_string(low) + " to " + std::to_string(high));
}

void checkPlace(const AttentionFlags &attention, const std::string &program) {
  if (attention.device != "cpu")
    throw InputError("device", attention.device, "cpu with --program " + program);
  if (ProcessRank::of(Env::read()).value_or(ProcessRank()).world > 1)
    throw InputError("program", program + " in one of several processes",
                     "one process, with --ranks N");
}

/// ring_seq_size and bucket_size as the program makes them of its flags.
void setSizes(RingAttentionOptions &options, const ModuleFlags &flags, int world) {
  int64_t rows = (flags.seqLen + world - 1) / world * flags.numShardedBatches;
  if (rows % flags.numBuckets != 0)
    throw InputError("num-buckets", std::to_string(flags.numBuckets),
                     "a divisor of the rows of a rank, " + std::to_string(rows));
  options.ringSeqSize = rows;
  options.bucketSize = rows / flags.numBuckets;
}

ModuleCase caseOf(const AttentionFlags &attention, const ModuleFlags &flags, bool zigzag,
                  uint64_t seed) {
  constexpr int64_t most = 1 << 20;
  requireInteger("batch-size", flags.batchSize, 0, most);
  requireInteger("seq-len", flags.seqLen, 1, most);
  requireInteger("num-buckets", flags.numBuckets, 1, most);
  ModuleCase made;
  made.world = flags.ranks && flags.ranks->count() > 0 ? attention.ranks : usualRanks;
  requireInteger("num-sharded-batches", flags.numShardedBatches, 1, made.world);
  made.length = flags.seqLen;
  made.seed = seed;
  made.keyMask = flags.randomKeyMask;
  for (int rank = 0; rank < made.world; ++rank)
    made.batches.push_back(flags.batchSize + (flags.batchSizeVarLen ? rank : 0));
  AttentionOptions asked = optionsOf(attention);
  RingAttentionOptions &options = made.options;
  options.dim = flags.modelDim;
  options.heads = flags.heads;
  options.dimHead = flags.dimHead;
  options.numGroupedQueryHeads = flags.groupedQueryHeads;
  options.causal = asked.causal || zigzag;
  options.softcap = asked.softcap;
  options.ringAttn = options.autoShardSeq = true;
  options.rotaryEmbed = !zigzag;
  options.stripedRingAttn = flags.stripedRingAttn;
  if (zigzag)
    options.layout = SequenceLayout::zigzag();
  else if (asked.layout != SequenceLayout::contiguous())
    options.layout = asked.layout;
  if (!attention.dtype.empty())
    options.dtype = parseFloatType(attention.dtype);
  if (asked.window.left >= 0)
    options.maxLookbackSeqLen = asked.window.left;
  setSizes(options, flags, made.world);
  validate(options);
  return made;
}

} // namespace

void ModuleFlags::addTo(CLI::App &command) {
  ranks = command.get_option("--ranks");
  std::string group = "Of --program module and zigzag (--ranks: 8 unless given)";
  auto number = [&](const char *name, int64_t &into, const char *what) {
    addNumber(command, name, into, what)->capture_default_str()->group(group);
  };
  number("--batch-size", batchSize, "Entries of each rank");
  command.add_flag("--batch-size-var-len", batchSizeVarLen, "Rank r has r entries more")
      ->group(group);
  number("--num-sharded-batches", numShardedBatches, "Rings that the world holds");
  number("--num-buckets", numBuckets, "Of the rows of a rank; changes no result");
  number("--seq-len", seqLen, "Tokens of an entry");
  number("--model-dim", modelDim, "Elements of a token");
  number("--heads", heads, "Of queries");
  number("--num-grouped-query-heads", groupedQueryHeads, "Query heads for each KV head");
  number("--dim-head", dimHead, "Elements of a head");
  command.add_flag("--striped-ring-attn", stripedRingAttn, "Rows are dealt in stripes")
      ->group(group);
  command.add_flag("--random-key-mask", randomKeyMask, "Half of the keys are hidden")->group(group);
}

int verifyModule(const Session &session, const AttentionFlags &attention, const ModuleFlags &flags,
                 const std::string &program, uint64_t seed) {
  checkPlace(attention, program);
  bool zigzag = parseEnum<VerifyProgram>("program", program) == VerifyProgram::ZigZag;
  ModuleCase module = caseOf(attention, flags, zigzag, seed);
  AttentionContext context = hostContext(attention.threads, session.details());
  std::vector<std::vector<std::string>> rows = {{"rank", "tensor", "error", "bar", "result"}};
  bool passed = true;
  for (const ModuleError &error : errorsOf(module, context)) {
    bool good = error.ours <= error.bar;
    passed &= good;
    rows.push_back({std::to_string(error.rank), error.result, number(error.ours), number(error.bar),
                    good ? "pass" : "FAIL"});
  }
  std::cout << table(rows);
  session.say(passed ? "all within their bars" : "an error is above its bar");
  return passed ? Ok : Wrong;
}

} // namespace ringc::cli
