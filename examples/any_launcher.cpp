// One program for one process with threads, for mpirun, srun and torchrun: makeWorld finds out how
// it was started, and deals and gathers.
//
//     example-any_launcher            two ranks in this process
//     mpirun -n 3 example-any_launcher

#include "ringc/ringc.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <random>

using namespace ringc;

int main() try {
  bool alone = ProcessRank::of(Env::read()).value_or(ProcessRank()).world == 1;
  WorldOptions started;
  if (alone)
    started.ranks = 2;
  std::unique_ptr<World> world = makeWorld(started);

  // Each process has the whole, from one seed, and computes its rows of it.
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  HostTensor q(DType::F32, {1, 301, 4, 64}), k(DType::F32, {1, 301, 2, 64}),
      v(DType::F32, {1, 301, 2, 64});
  for (HostTensor *each : {&q, &k, &v})
    std::generate_n(each->dataAs<float>(), each->elementCount(), [&] { return normal(random); });
  AttentionOptions options{
      .heads = 4, .kvHeads = 2, .headDim = 64, .causal = true, .layout = SequenceLayout::striped()};
  std::unique_ptr<WorldRing> ring =
      world->ring(options, hostContext(), {.q = q, .k = k, .v = v}, Tensor());
  ring->forward();
  WorldRing::Results results = ring->collect(); // whole in the first process
  if (!world->isFirst())
    return 0;

  // The first row sees the first key alone: its output is that key's value.
  float error = 0;
  for (int64_t head = 0; head < 4; ++head)
    for (int64_t c = 0; c < 64; ++c)
      error = std::max(error, std::abs(results.forward.out.dataAs<float>()[head * 64 + c] -
                                       v.dataAs<float>()[head / 2 * 64 + c]));
  std::printf("%d ranks, the first row is off by %g\n", world->size(), double(error));
  return error < 1e-6f ? 0 : 1;
} catch (const std::exception &error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
