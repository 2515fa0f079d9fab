#include "tools/ringc/VerifyModule.h"

#include "ringc/driver/CudaStream.h"
#include "ringc/jit/HostCompiler.h"
#include "ringc/module/DeviceModuleBackend.h"
#include "ringc/module/HostModuleBackend.h"
#include "ringc/support/Error.h"
#include "tools/ringc/ModuleCase.h"
#include "tools/ringc/VerifyTable.h"

#include <string>
#include <vector>

namespace ringc::cli {

namespace {

/// ring_seq_size and bucket_size as the program makes them of its flags.
void setSizes(RingAttentionOptions &options, const ModuleFlags &flags, int world) {
  int64_t rows = (flags.seqLen + world - 1) / world * flags.numShardedBatches;
  if (rows % flags.numBuckets != 0)
    throw InputError("num-buckets", std::to_string(flags.numBuckets),
                     "a divisor of the rows of a rank, " + std::to_string(rows));
  options.ringSeqSize = rows;
  options.bucketSize = rows / flags.numBuckets;
}

ModuleCase caseOf(const VerifyFlags &all, int world) {
  const AttentionFlags &attention = all.attention;
  const ModuleFlags &flags = all.module;
  bool zigzag = all.what() == VerifyProgram::ZigZag;
  constexpr int64_t most = 1 << 20;
  requireInteger("batch-size", flags.batchSize, 0, most);
  requireInteger("seq-len", flags.seqLen, 1, most);
  requireInteger("num-buckets", flags.numBuckets, 1, most);
  ModuleCase made;
  made.world = world;
  requireInteger("num-sharded-batches", flags.numShardedBatches, 1, made.world);
  made.length = flags.seqLen;
  made.seed = all.seed;
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
  options.f32Products = asked.f32Products;
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

/// A rank's backend, and what it must not outlive.
std::vector<ModuleError> errorsOfRank(const ModuleCheck &check, const AttentionContext &context,
                                      const WorldRank &rank) {
  if (!rank.device)
    return check.ofRank(hostModuleBackend(context, *rank.transport));
  CudaStream stream(rank.device->device);
  return check.ofRank(rank.remote ? deviceModuleBackend(*rank.device, stream, *rank.remote)
                                  : deviceModuleBackend(*rank.device, stream));
}

} // namespace

int verifyModule(const Session &session, World &world, const VerifyFlags &flags) {
  ModuleCheck check(caseOf(flags, world.size()));
  AttentionContext context = hostContext(flags.attention.threads, session.details());
  int first = world.ranks().front();
  std::vector<std::vector<ModuleError>> found(world.ranks().size());
  world.onRanks([&](const WorldRank &rank) {
    found[size_t(rank.rank - first)] = errorsOfRank(check, context, rank);
  });
  std::vector<std::vector<RankError>> own;
  for (const std::vector<ModuleError> &ofRank : found) {
    std::vector<RankError> &errors = own.emplace_back();
    for (const ModuleError &each : ofRank)
      errors.push_back({each.ours, each.bar});
  }
  std::vector<std::vector<RankError>> all = gatherErrors(world, own);
  if (!world.isFirst())
    return Ok; // what this rank missed is the first's to say
  VerifyTable table({"rank", "tensor"});
  for (size_t rank = 0; rank < all.size(); ++rank)
    for (size_t i = 0; i < all[rank].size(); ++i)
      table.add({std::to_string(rank), found[0][i].result}, all[rank][i]);
  return table.tell(session);
}

} // namespace ringc::cli
