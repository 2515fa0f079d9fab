#include "tools/ringc/VerifyDecode.h"

#include "ringc/attention/shared/CallAgreement.h"
#include "ringc/attention/shared/Options.h"
#include "ringc/jit/HostCompiler.h"
#include "ringc/support/Error.h"
#include "ringc/world/WorldAgreement.h"
#include "tools/ringc/DecodeCase.h"
#include "tools/ringc/RandomDecode.h"
#include "tools/ringc/VerifyTable.h"

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace ringc::cli {

namespace {

constexpr int64_t mostProblems = 1 << 20;

/// Those of all ranks, in the first process.
std::vector<std::vector<RankError>> errorsOf(const DecodeCase &decode, World &world,
                                             const AttentionContext &context) {
  DecodeCheck check(decode);
  std::vector<DecodeErrors> found(world.ranks().size());
  if (!world.devices().empty())
    found = check.onDevices(world);
  else
    world.onRanks([&](const WorldRank &rank) {
      found[size_t(rank.rank - world.ranks().front())] = check.onHost(context, *rank.transport);
    });
  std::vector<std::vector<RankError>> own;
  for (const DecodeErrors &ofRank : found) {
    std::vector<RankError> &errors = own.emplace_back();
    for (const DecodeError &each : ofRank)
      errors.push_back({each.ours, each.bar});
  }
  return gatherErrors(world, own);
}

/// A line for each result of the rank that is nearest to its bar, or farthest above.
void addWorst(VerifyTable &table, const std::string &name,
              const std::vector<std::vector<RankError>> &ranks) {
  for (size_t tensor = 0; tensor < DecodeCheck::names.size(); ++tensor) {
    auto share = [&](const std::vector<RankError> &of) {
      return of[tensor].error / of[tensor].bar;
    };
    auto worst = std::ranges::max_element(ranks, {}, share);
    table.add({name, std::to_string(worst - ranks.begin()) + " of " + std::to_string(ranks.size()),
               DecodeCheck::names[tensor]},
              (*worst)[tensor]);
  }
}

} // namespace

int verifyDecode(const Session &session, World &world, const VerifyFlags &flags) {
  requireInteger("count", flags.decode.count, 1, mostProblems);
  RandomDecode random(session, flags);
  AttentionContext context = hostContext(flags.attention.threads, session.details());
  Agreement files; // what command lines do not say
  addOptions(files, random.options());
  addSources(files, random.options(), context.kernels->sources(userSources(random.options())));
  addArguments(files, random.arguments());
  world.agree(files);
  bool isOfThreads = world.devices().empty() && int(world.ranks().size()) == world.size(),
       drawsRanks = isOfThreads && !flags.isGiven("--ranks");
  VerifyTable table({"problem", "rank", "tensor"});
  for (int64_t problem = 0; problem < flags.decode.count; ++problem) {
    uint64_t seed = flags.seed + uint64_t(problem);
    DecodeCase decode = random.draw(seed, drawsRanks ? 1 : world.size(), world.size());
    std::unique_ptr<World> fewer = drawsRanks ? makeWorld({.ranks = decode.ranks}) : nullptr;
    std::vector<std::vector<RankError>> errors = errorsOf(decode, fewer ? *fewer : world, context);
    if (world.isFirst())
      addWorst(table, std::to_string(seed) + ": " + decode.name(), errors);
  }
  return world.isFirst() ? table.tell(session) : Ok;
}

int verifyTree(const Session &session, World &world, const VerifyFlags &flags) {
  const ModuleFlags &sizes = flags.module;
  requireInteger("batch", flags.decode.batch, 0, 1 << 20);
  requireInteger("seq-len", sizes.seqLen, 0, 1 << 20);
  requireInteger("heads", sizes.heads, 1, 1 << 20);
  AttentionContext context = hostContext(flags.attention.threads, session.details());
  VerifyTable table({"keys", "heads", "rank", "tensor"});
  // Every second rank has nothing, if there is another.
  std::vector<int64_t> shards = evenCuts(sizes.seqLen, (world.size() + 1) / 2), halves;
  for (int rank = 0; rank < world.size(); ++rank)
    halves.push_back(shards[size_t(rank + 1) / 2]);
  halves.push_back(sizes.seqLen);
  std::set<int64_t> groups = {1, sizes.heads};
  if (flags.isGiven("--num-grouped-query-heads"))
    groups = {sizes.groupedQueryHeads};
  for (int64_t group : groups) {
    if (group < 1 || sizes.heads % group != 0)
      throw InputError("num-grouped-query-heads", std::to_string(group),
                       "a divisor of heads, " + std::to_string(sizes.heads));
    DecodeCase decode;
    AttentionOptions &of = decode.options.attention;
    of = optionsOf(flags.attention);
    of.heads = sizes.heads;
    of.kvHeads = sizes.heads / group;
    of.headDim = flags.decode.dim;
    of.dtype = flags.attention.dtype.empty() ? DType::F32 : parseFloatType(flags.attention.dtype);
    decode.rows = sizes.seqLen;
    decode.lengths.assign(size_t(flags.decode.batch), sizes.seqLen);
    decode.ranks = world.size();
    decode.seed = flags.seed;
    std::string heads = std::to_string(of.heads) + "/" + std::to_string(of.kvHeads);
    for (auto [keys, cuts] :
         {std::pair("sliced", evenCuts(sizes.seqLen, world.size())), {"shards", halves}}) {
      decode.cuts = cuts;
      std::vector<std::vector<RankError>> errors = errorsOf(decode, world, context);
      for (size_t rank = 0; rank < errors.size(); ++rank)
        for (size_t tensor = 0; tensor < DecodeCheck::names.size(); ++tensor)
          table.add({keys, heads, std::to_string(rank), DecodeCheck::names[tensor]},
                    errors[rank][tensor]);
    }
  }
  return world.isFirst() ? table.tell(session) : Ok;
}

} // namespace ringc::cli
