// One rank of the attention module, which mpirun starts: its results and all gradients against
// double precision. Says "right", or what is not.

#include "ringc/comm/Mpi.h"
#include "ringc/jit/HostCompiler.h"
#include "ringc/module/HostModuleBackend.h"
#include "tools/ringc/ModuleCase.h"

#include <cstdio>
#include <exception>
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

int main() {
  bool right = true;
  try {
    MpiSession session;
    MpiTransport transport(session);
    AttentionContext context = hostContext();
    for (const ModuleCase &module : cases(transport.world())) {
      if (module.options.autoShardSeq && transport.world() == 1)
        continue; // a rank alone deals nothing
      for (const ModuleError &error : errorsOf(module, hostModuleBackend(context, transport))) {
        if (error.ours <= error.bar)
          continue;
        std::printf("%s, rank %d: %s is off by %g\n", module.name().c_str(), error.rank,
                    error.result.c_str(), error.ours);
        right = false;
      }
    }
  } catch (const std::exception &error) {
    std::printf("%s\n", error.what());
    right = false;
  }
  if (right)
    std::printf("right\n");
  return right ? 0 : 1;
}
