#include "tests/unit/compiler/RandomKernel.h"
#include "tests/unit/compiler/KernelRun.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <list>

using namespace ringc;
using namespace ringc::testing;

TEST_CASE("random kernels compute what their text says") {
  constexpr std::pair<int64_t, int64_t> shapes[] = {{8, 16}, {5, 19}, {33, 7}, {1, 40}, {24, 1}};
  const char *more = std::getenv("RINGC_RANDOM_KERNELS");
  unsigned count = more ? static_cast<unsigned>(std::atoi(more)) : 60;
  std::vector<Target> targets = hostVariants();
  for (unsigned seed = 0; seed < count; ++seed) {
    auto [rows, columns] = shapes[seed % std::size(shapes)];
    RandomKernel kernel(seed, rows, columns);
    std::string text = kernel.text();
    CAPTURE(seed);
    CAPTURE(text);
    const Target &target = targets[seed / 5 % targets.size()];
    CAPTURE(describe(target));
    KernelRun run({.kernel = "drawn", .tile = {{"m", rows}, {"n", columns}}}, text, target);
    std::list<Matrix> results;
    run.bind("x", kernel.x()).bind("z", kernel.z());
    for (size_t i = 0; i < kernel.outputs().size(); ++i) {
      const RandomKernel::Output &output = kernel.outputs()[i];
      results.emplace_back(ElementType::F32, output.rows, output.columns);
      run.bind("o" + std::to_string(i), results.back());
    }
    run.run();
    size_t i = 0;
    for (const Matrix &result : results) {
      CAPTURE(i);
      const RandomKernel::Output &output = kernel.outputs()[i++];
      CHECK(largestError(result, [&](int64_t r, int64_t c) {
              return output.values[static_cast<size_t>(r * output.columns + c)];
            }) < 1e-4);
    }
  }
}
