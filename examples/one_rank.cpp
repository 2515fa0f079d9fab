// What one process of many does: it holds a shard, a transport brings the rest. Here the processes
// are threads, and the transport is that of one process; the calls are the same with another.

#include "ringc/ringc.h"

#include <algorithm>
#include <cstdio>
#include <random>

using namespace ringc;

int main() {
  constexpr int world = 2;
  constexpr int64_t n = 513, heads = 4, dim = 64; // a length that does not divide
  const AttentionOptions options{.heads = heads,
                                 .headDim = dim,
                                 .causal = true,
                                 .window = {.left = 100},
                                 .layout = SequenceLayout::zigzag()};
  const AttentionShape shape{.batch = 1, .queryLength = n, .keyLength = n};
  AttentionContext context = hostContext();
  InProcessWorld transports(world);

  runRanks(transports, [&](int rank) {
    // The rows that are this rank's: row l is token positions(...)(l) of the sequence.
    int64_t rows = localLength(options.layout, rank, world, n);
    std::mt19937 random{unsigned(rank)};
    std::normal_distribution<float> normal;
    auto fresh = [&] {
      HostTensor tensor(DType::F32, {1, rows, heads, dim});
      std::generate_n(tensor.dataAs<float>(), tensor.elementCount(),
                      [&] { return normal(random); });
      return tensor;
    };
    HostTensor q = fresh(), k = fresh(), v = fresh(), dout = fresh();
    HostTensor out(DType::F32, q.shape()), lse(DType::F32, {1, heads, rows});
    HostTensor dq(DType::F32, q.shape()), dk(DType::F32, q.shape()), dv(DType::F32, q.shape());

    HostAttentionRank attention(options, transports.at(rank), context);
    AttentionInputs inputs{.q = q, .k = k, .v = v};
    attention.forward(shape, inputs, {out, lse});
    ExecutionReport report = attention.backward(shape, inputs, {out, lse}, dout, {dq, dk, dv});
    std::printf("rank %d: %lld rows, %d hops computed, %lld bytes sent\n", rank,
                static_cast<long long>(rows), report.computedSteps,
                static_cast<long long>(report.sentBytes));
  });
  return 0;
}
