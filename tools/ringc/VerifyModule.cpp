#include "tools/ringc/VerifyModule.h"

#include "ringc/jit/HostCompiler.h"
#include "ringc/support/Error.h"
#include "ringc/world/ModuleWorld.h"
#include "tools/ringc/ModuleCase.h"
#include "tools/ringc/TransformerCase.h"
#include "tools/ringc/VerifyTable.h"

#include <functional>
#include <memory>
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

/// Layers and tokens of what the program `assert` checks.
constexpr int64_t assertDepth = 2, assertTokens = 256;

/// The same of a transformer of such modules; tokens are their own labels.
TransformerCase transformerOf(const ModuleCase &module) {
  const RingAttentionOptions &layer = module.options;
  TransformerCase made;
  made.world = module.world;
  made.length = module.length;
  made.batches = module.batches;
  made.keyMask = module.keyMask;
  made.seed = module.seed;
  made.labels = false;
  RingTransformerOptions &options = made.options;
  options.numTokens = assertTokens;
  options.dim = layer.dim;
  options.depth = assertDepth;
  options.causal = layer.causal;
  options.dimHead = layer.dimHead;
  options.heads = layer.heads;
  options.numGroupedQueryHeads = layer.numGroupedQueryHeads;
  options.bucketSize = layer.bucketSize;
  options.ringAttn = layer.ringAttn;
  options.stripedRingAttn = layer.stripedRingAttn;
  options.ringSeqSize = layer.ringSeqSize;
  options.autoShardSeq = layer.autoShardSeq;
  if (layer.maxLookbackSeqLen)
    options.maxLookbackSeqLen = {layer.maxLookbackSeqLen};
  options.softcap = layer.softcap;
  options.layout = layer.layout;
  options.dtype = layer.dtype;
  options.f32Products = layer.f32Products;
  validate(options);
  return made;
}

using ErrorsOfRank =
    std::function<std::vector<ModuleError>(const std::shared_ptr<ModuleBackend> &)>;

ErrorsOfRank checkOf(const VerifyFlags &flags, int world) {
  ModuleCase module = caseOf(flags, world);
  if (flags.what() == VerifyProgram::Assert)
    return [check = std::make_shared<TransformerCheck>(transformerOf(module))](
               const std::shared_ptr<ModuleBackend> &backend) { return check->ofRank(backend); };
  return [check = std::make_shared<ModuleCheck>(module)](
             const std::shared_ptr<ModuleBackend> &backend) { return check->ofRank(backend); };
}

} // namespace

int verifyModule(const Session &session, World &world, const VerifyFlags &flags) {
  ErrorsOfRank check = checkOf(flags, world.size());
  AttentionContext context = hostContext(flags.attention.threads, session.details());
  int first = world.ranks().front();
  std::vector<std::vector<ModuleError>> found(world.ranks().size());
  onModuleRanks(
      world, context,
      [&](const std::shared_ptr<ModuleBackend> &backend) {
        found[size_t(backend->ranks().rank() - first)] = check(backend);
      },
      session.details());
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
