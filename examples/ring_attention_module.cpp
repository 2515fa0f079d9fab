// The usage example of ring-attention-pytorch: its module on 1024 tokens, on one rank and on
// several, forward and backward. The numbers are the same.

#include "ringc/comm/InProcess.h"
#include "ringc/jit/HostCompiler.h"
#include "ringc/module/HostModuleBackend.h"
#include "ringc/module/RingAttention.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <exception>
#include <random>
#include <vector>

using namespace ringc;

static HostTensor randomTensor(std::initializer_list<int64_t> shape, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  HostTensor tensor(DType::F32, shape);
  std::generate_n(tensor.dataAs<float>(), tensor.elementCount(), [&] { return normal(random); });
  return tensor;
}

static float difference(const HostTensor &a, const HostTensor &b) {
  float most = 0;
  for (int64_t i = 0; i < a.elementCount(); ++i)
    most = std::max(most, std::abs(a.dataAs<float>()[i] - b.dataAs<float>()[i]));
  return most;
}

struct Results {
  HostTensor out, dtokens, dtoQkv;
};

/// With `world` ranks, threads of this process. Rank 0 brings the one entry that there is, the
/// others none; the module deals its rows to as many ranks as ring_seq_size asks for, and back.
static Results run(int world, const RingAttentionOptions &options, const HostTensor &tokens,
                   const HostTensor &dout) {
  InProcessWorld ranks(world);
  AttentionContext context = hostContext();
  Results results;
  runRanks(ranks, [&](int rank) {
    RingAttention attention(options, hostModuleBackend(context, ranks.at(rank)),
                            RingAttentionWeights::initial(options, /*seed=*/1));
    int64_t own = rank == 0 ? tokens.dim(0) : 0;
    RingAttentionForward forward = attention.forward({.tokens = tokens.view().slice(0, 0, own)});
    RingAttentionGradients gradients = attention.backward(forward, dout.view().slice(0, 0, own));
    if (rank == 0)
      results = {HostTensor::copyOf(forward.out), HostTensor::copyOf(gradients.tokens),
                 HostTensor::copyOf(gradients.toQkv)};
  });
  return results;
}

int main() try {
  RingAttentionOptions options;
  options.dim = 512;
  options.dimHead = 64;
  options.heads = 8;
  options.causal = true;
  options.autoShardSeq = true;
  options.ringAttn = true;
  options.ringSeqSize = 512;
  HostTensor tokens = randomTensor({1, 1024, 512}, 1), dout = randomTensor({1, 1024, 512}, 2);

  Results one = run(1, options, tokens, dout);
  float worst = 0;
  for (int world : {2, 4}) {
    Results several = run(world, options, tokens, dout);
    // A weight's gradient is a sum over 1024 tokens.
    float most =
        std::max({difference(one.out, several.out), difference(one.dtokens, several.dtokens),
                  difference(one.dtoQkv, several.dtoQkv) / 32});
    std::printf("%d ranks differ from one by at most %.2g\n", world, double(most));
    worst = std::max(worst, most);
  }
  return worst < 1e-5f ? 0 : 1;
} catch (const std::exception &error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
