#include "tools/ringc/MatmulBench.h"

#include "ringc/comm/InProcess.h"
#include "ringc/jit/HostCompiler.h"
#include "ringc/module/HostModuleBackend.h"
#include "ringc/module/TileProducts.h"
#include "ringc/support/Error.h"
#include "tools/ringc/BenchLines.h"
#include "tools/ringc/MatmulPeers.h"
#include "tools/ringc/Numbers.h"
#include "tools/ringc/RandomProblem.h"

#include <array>
#include <chrono>
#include <random>
#include <ranges>
#include <thread>

namespace ringc::cli {

namespace {

struct Extents {
  int64_t m, n, k;
};

Extents parseExtents(const std::string &text) {
  std::vector<int64_t> numbers;
  for (auto part : std::views::split(text, ','))
    if (auto read = parseNumber<int64_t>(std::string_view(part.begin(), part.end())))
      numbers.push_back(*read);
  constexpr int64_t most = 1 << 20;
  bool fits = numbers.size() == 3 && std::ranges::count(text, ',') == 2 &&
              std::ranges::all_of(numbers, [](int64_t each) { return each >= 1 && each <= most; });
  if (!fits)
    throw InputError("matmul", text, "m,n,k, each from 1 to " + std::to_string(most));
  return {numbers[0], numbers[1], numbers[2]};
}

/// A product as the module has it: of activations in rows and weights [out, in].
struct Form {
  const char *kernel;
  bool leftTransposed, rightTransposed;
  bool f32Result; ///< the gradient of weights
};
constexpr std::array forms = {Form{"matmul", false, false, false},
                              Form{"matmul_bt", false, true, false},
                              Form{"matmul_at", true, false, true}};

struct Matrices {
  Matrices(const Form &form, Extents extents, DType dtype) {
    static std::mt19937_64 random(1);
    auto [m, n, k] = extents;
    a = form.leftTransposed ? repeatedTensor(dtype, {k, m}, random)
                            : repeatedTensor(dtype, {m, k}, random);
    b = form.rightTransposed ? repeatedTensor(dtype, {n, k}, random)
                             : repeatedTensor(dtype, {k, n}, random);
    c = HostTensor(form.f32Result ? DType::F32 : dtype, {m, n});
    left = {a, form.leftTransposed};
    right = {b, form.rightTransposed};
  }

  HostTensor a, b, c;
  Factor left, right;
};

/// One who takes part in the turns.
struct Runner {
  std::string library;
  Products *products;
  std::vector<double> seconds = {}, processor = {};

  void run(const Matrices &matrices) {
    double before = processorSeconds();
    auto start = std::chrono::steady_clock::now();
    products->multiply(matrices.left, matrices.right, matrices.c);
    seconds.push_back(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    processor.push_back(processorSeconds() - before);
  }
};

/// Until threads of a library that look for more work have gone to sleep.
void settle() { std::this_thread::sleep_for(std::chrono::milliseconds(30)); }

} // namespace

int benchMatmul(const Session &session, const AttentionFlags &flags,
                const std::vector<std::string> &shapes, int repeats, bool json) {
  AttentionContext host = hostContext(flags.threads, session.details());
  InProcessWorld world(1);
  auto backend =
      hostModuleBackend(host, world.at(0), [&](const std::string &line) { session.say(line); });
  auto ours = std::make_unique<TileProducts>(backend->kernels(), F32Products::Tf32x3);
  auto chosen = backend->products(F32Products::Tf32x3);
  std::vector<std::string> missing;
  std::vector<MatmulPeer> peers = matmulPeers(host.pool->threads(), missing);
  for (const std::string &why : missing)
    session.say("left out: " + why);
  for (const MatmulPeer &peer : peers)
    session.say(peer.name + " " + peer.version);
  std::vector<std::string> dtypes = {"f32", "bf16"};
  if (!flags.dtype.empty())
    dtypes = {flags.dtype};
  BenchLines lines(json);
  for (const std::string &shape : shapes)
    for (const std::string &dtype : dtypes)
      for (const Form &form : forms) {
        Extents extents = parseExtents(shape);
        Matrices matrices(form, extents, parseFloatType(dtype));
        std::vector<Runner> runners = {{"ringc", ours.get()}, {"module", chosen.get()}};
        for (const MatmulPeer &peer : peers)
          runners.push_back({peer.name, peer.products.get()});
        std::erase_if(runners, [&](Runner &runner) { // once to warm up, or not at all
          try {
            runner.run(matrices);
            runner.seconds.clear();
            runner.processor.clear();
            return false;
          } catch (const InputError &error) {
            session.detail(error.what());
            return true;
          }
        });
        for (int turn = 0; turn < repeats; ++turn)
          for (Runner &runner : runners) {
            settle();
            runner.run(matrices);
          }
        double work = 2e-9 * double(extents.m) * double(extents.n) * double(extents.k);
        double best = 0;
        for (const Runner &runner : runners)
          best = std::max(best, work / medianOf(runner.seconds));
        for (const Runner &runner : runners) {
          double rate = work / medianOf(runner.seconds);
          lines.add({{"kernel", std::string(form.kernel)},
                     {"shape", shape},
                     {"dtype", dtype},
                     {"library", runner.library},
                     {"threads", int64_t(host.pool->threads())},
                     {"median_ms", 1000 * medianOf(runner.seconds)},
                     {"spread_percent", spreadOf(runner.seconds)},
                     {"gflops", rate},
                     {"of_best", rate / best},
                     {"gflops_of_processor_time", work / medianOf(runner.processor)}});
        }
      }
  lines.finish();
  return Ok;
}

} // namespace ringc::cli
