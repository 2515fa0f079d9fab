// One rank of the attention module and the transformer, which mpirun starts: results and all
// gradients against double precision. Says "right", or what is not.

#include "ringc/comm/Mpi.h"
#include "ringc/jit/HostCompiler.h"
#include "ringc/module/HostModuleBackend.h"
#include "tools/ringc/ModuleCase.h"
#include "tools/ringc/TransformerCase.h"

#include <cstdio>
#include <exception>
#include <string>
#include <vector>

using namespace ringc;
using namespace ringc::cli;

static std::vector<ModuleCase> cases(int world) {
  ModuleCase striped;
  striped.options.dim = 20;
  striped.options.dimHead = 8;
  striped.options.heads = 4;
  striped.options.numGroupedQueryHeads = 2;
  striped.options.causal = striped.options.ringAttn = striped.options.rotaryEmbed = true;
  striped.options.stripedRingAttn = true;
  striped.world = world;
  striped.keyMask = true;
  ModuleCase sharded = striped;
  sharded.options.stripedRingAttn = false;
  sharded.options.layout = SequenceLayout::zigzag();
  sharded.options.autoShardSeq = true;
  sharded.options.ringSeqSize = sharded.options.bucketSize = 16; // rings of two, where that divides
  for (int rank = 0; rank < world; ++rank)
    sharded.batches.push_back((rank + 1) % 3);
  sharded.cuSeqlens = {0, 9, 31};
  return {striped, sharded};
}

static TransformerCase transformer(int world) {
  TransformerCase made;
  made.options.numTokens = 13;
  made.options.dim = 20;
  made.options.depth = 2;
  made.options.dimHead = 8;
  made.options.heads = 4;
  made.options.causal = made.options.ringAttn = made.options.stripedRingAttn = true;
  made.options.ringSeqSize = made.options.bucketSize = 31;
  made.world = world;
  for (int rank = 0; rank < world; ++rank)
    made.batches.push_back((rank + 1) % 3);
  made.labels = false;
  return made;
}

static bool isRight(const std::string &name, const std::vector<ModuleError> &errors) {
  bool right = true;
  for (const ModuleError &error : errors) {
    if (error.ours <= error.bar)
      continue;
    std::printf("%s, rank %d: %s is off by %g\n", name.c_str(), error.rank, error.result.c_str(),
                error.ours);
    right = false;
  }
  return right;
}

/// The processes in the other order: a communicator of the user's.
static MPI_Comm reversed() {
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm made = MPI_COMM_NULL;
  MPI_Comm_split(MPI_COMM_WORLD, 0, -rank, &made);
  return made;
}

int main() {
  bool right = true;
  try {
    MpiSession session;
    MpiTransport transport(session), theirs(session, reversed());
    AttentionContext context = hostContext();
    for (Transport *each :
         {static_cast<Transport *>(&transport), static_cast<Transport *>(&theirs)})
      for (const ModuleCase &module : cases(each->world())) {
        if (module.options.autoShardSeq && each->world() == 1)
          continue; // a rank alone deals nothing
        right &= isRight(module.name(), errorsOf(module, hostModuleBackend(context, *each)));
      }
    TransformerCase model = transformer(theirs.world());
    right &=
        isRight(model.name(), TransformerCheck(model).ofRank(hostModuleBackend(context, theirs)));
  } catch (const std::exception &error) {
    std::printf("%s\n", error.what());
    right = false;
  }
  if (right)
    std::printf("right\n");
  return right ? 0 : 1;
}
