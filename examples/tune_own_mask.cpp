// The tile sizes that are fastest on this host for a mask of one's own, found in ten seconds, and
// what they gain. usage: tune_own_mask [SECONDS [TABLE.json]]

#include "ringc/ringc.h"
#include "ringc/tune/TuneAttention.h"

#include <cstdio>
#include <cstdlib>
#include <exception>

using namespace ringc;

static const char *const text = R"(
// Every step-th of the keys before the query, and the query itself.
mask dilated(b: index, h: index, i: index, j: index, step: i32) {
  return j <= i and (i - j) % step == 0
}
)";

int main(int argc, char **argv) {
  double seconds = argc > 1 ? std::atof(argv[1]) : 10;
  TuneRequest request{
      .options = {.heads = 2,
                  .headDim = 48,
                  .masks = {{.file = "mine.tile", .name = "dilated", .text = text}}},
      .shape = {.batch = 1, .queryLength = 1024, .keyLength = 1024},
      .passes = {Pass::Forward}};
  request.inputs.arguments = {{"dilated.step", int64_t(3)}};
  try {
    TuneResult found =
        tune(request, std::chrono::duration<double>(seconds), [](const TuneProgress &progress) {
          std::printf("\r%zu of %zu sizes, best %.3f times the default ", progress.seen,
                      progress.space, 1 / progress.bestRatio);
          std::fflush(stdout);
          return true;
        });
    std::printf("\n");
    for (const TunedKernel &kernel : found.kernels) {
      const TuneCandidate &best = kernel.candidates[kernel.best];
      std::printf("%s: %.2f ms with the model's sizes", kernel.task.spec.kernel.c_str(),
                  kernel.candidates.front().median());
      for (const auto &[dimension, size] : best.config.tile)
        std::printf(", %s=%lld", dimension.c_str(), static_cast<long long>(size));
      std::printf(": %.3f times as fast%s\n", 1 / best.ratio,
                  kernel.best == 0 ? ", for nothing was surely faster" : "");
    }
    if (argc > 2)
      TuneTable::update(argv[2], [&](TuneTable &table) {
        for (const TuneEntry &entry : entriesOf(found, "example", "2026-01-01"))
          table.put(entry);
      });
  } catch (const std::exception &error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
