// The search, on a runner whose times are a formula and whose faults are planted.

#include "runtime/tune/Tune.h"
#include "compiler/spec/TileSpace.h"
#include "runtime/Error.h"
#include "runtime/tune/DevicePeak.h"
#include "runtime/tune/HostPeak.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <random>
#include <thread>
#include <unistd.h>

using namespace ringc;
using namespace std::chrono_literals;

namespace {

const Target host{.name = "cpu", .vectorRegisters = 32};

int64_t at(const TileSizes &tile, const char *name) {
  auto found = tile.find(std::string("attention_forward.") + name);
  return found == tile.end() ? 0 : found->second;
}

/// The fastest is q 32, kv 96; q 128 is the fastest of all, and wrong.
class Formula final : public TuneRunner {
public:
  explicit Formula(double noise) : wobble(1, noise) {}

  void compile(const TileSizes &tile, Pass) override {
    if (at(tile, "q") == 16)
      throw InputError("attention_forward.tile:1:1: error: too large\nnote: where");
  }
  bool sharesProcessors() const override { return true; }
  double error(const TileSizes &tile, Pass, uint64_t) override {
    if (at(tile, "q") == 48 && at(tile, "kv") == 64 && at(tile, "micro_rows") == 4)
      (void)raise(SIGSEGV);
    return at(tile, "q") == 128 ? std::nan("") : at(tile, "q") == 96 ? 1.5 : 0.5;
  }
  double milliseconds(const TileSizes &tile, Pass) override {
    double ms = 10;
    ms *= at(tile, "q") == 128 ? 0.1 : 1 + 0.1 * std::abs(std::log2(double(at(tile, "q")) / 32));
    ms *= 1 + 0.1 * std::abs(std::log2(double(at(tile, "kv")) / 96));
    ms *= 1 + 0.02 * double(at(tile, "micro_rows") == 1);
    return ms * wobble(random);
  }

private:
  std::mt19937 random{5};
  std::normal_distribution<double> wobble;
};

TuneTask forward() {
  Spec spec{.headDim = 64};
  return {.pass = Pass::Forward,
          .spec = spec,
          .target = host,
          .key = tuneKeyOf(spec, SourceSet(), host, {.length = 1000})};
}

TuneWorker::Body formula(double noise) {
  return [=](const std::function<void(TuneRunner &)> &serve) {
    Formula runner(noise);
    serve(runner);
  };
}

TuneResult tune(const std::vector<TuneTask> &tasks, const TuneWorker::Body &body,
                std::chrono::duration<double> budget, uint64_t seed,
                const std::function<bool(const TuneProgress &)> &progress) {
  TuneWorker worker(body);
  return tune(tasks, worker, budget, seed, progress);
}

} // namespace

TEST_CASE("the fastest that is right is found; what is wrong, refused or crashes costs itself") {
  size_t told = 0;
  TuneResult result = tune({forward()}, formula(0.003), 20s, 1, [&](const TuneProgress &progress) {
    told = progress.seen;
    CHECK(progress.seen <= progress.space);
    return true;
  });
  REQUIRE(result.kernels.size() == 1);
  CHECK(!result.interrupted);
  const TunedKernel &kernel = result.kernels[0];
  CHECK(told == kernel.candidates.size());
  CHECK(kernel.candidates[0].config == chooseTileConfig(kernel.task.spec, host));
  const TuneCandidate &best = kernel.candidates[kernel.best];
  CHECK(best.config.tile == std::map<std::string, int64_t>{{"q", 32}, {"kv", 96}});
  CHECK(best.ratio < 0.95);
  std::map<TuneVerdict, int> verdicts;
  for (const TuneCandidate &each : kernel.candidates) {
    ++verdicts[each.verdict];
    REQUIRE(!each.judged.empty());
    CHECK(each.judged.front().round == 0);
    CHECK(std::ranges::is_sorted(each.judged, {}, &TuneJudgement::seconds));
    if (each.verdict == TuneVerdict::Measured)
      CHECK(each.judged.back().ratio == each.ratio);
    else
      CHECK(each.judged.back().ratio == 0);
    int64_t q = each.config.tile.at("q");
    if (q == 128 || q == 96)
      CHECK(each.verdict == TuneVerdict::Wrong);
    if (q == 16)
      CHECK(each.reason == "attention_forward.tile:1:1: error: too large");
    if (each.verdict == TuneVerdict::Crashed)
      CHECK(each.reason.starts_with("signal 11 ("));
  }
  CHECK(best.judged.back().round == 2);
  CHECK(best.judged.back().seconds <= kernel.budget.count());
  CHECK(verdicts[TuneVerdict::Crashed] >= 1);
  CHECK(verdicts[TuneVerdict::Refused] >= 1);
  std::vector<TuneEntry> entries = entriesOf(result, "1", "2026-01-01");
  REQUIRE(entries.size() == 1);
  CHECK(entries[0].key == kernel.task.key);
  CHECK(entries[0].config == best.config);
  CHECK(entries[0].nanoseconds < entries[0].defaultNanoseconds);
}

TEST_CASE("what is not surely faster does not take the default's place") {
  TuneResult result =
      tune({forward()}, formula(0.3), 3s, 1, [](const TuneProgress &) { return true; });
  const TunedKernel &kernel = result.kernels.at(0);
  CHECK(kernel.spread > 0.05);
  if (kernel.best != 0)
    CHECK(kernel.candidates[kernel.best].ratio < 0.9);
}

TEST_CASE("an interrupted search keeps what it knows; without time the default stays") {
  int left = 5;
  TuneResult result = tune({forward(), forward()}, formula(0), 60s, 1,
                           [&](const TuneProgress &) { return --left > 0; });
  CHECK(result.interrupted);
  REQUIRE(result.kernels.size() == 1);
  CHECK(result.kernels[0].candidates.size() == 5);
  std::vector<TuneEntry> entries = entriesOf(result, "", "");
  REQUIRE(entries.size() == 1);
  CHECK((result.kernels[0].best != 0 || entries[0].nanoseconds == entries[0].defaultNanoseconds));
  result = tune({forward()}, formula(0), 1ns, 1, [](const TuneProgress &) { return true; });
  CHECK(result.kernels.at(0).best == 0);
  CHECK(result.kernels.at(0).candidates.size() == 1);
}

TEST_CASE("a default that is wrong, and a worker that cannot begin, are errors") {
  TuneWorker::Body wrong = [](const std::function<void(TuneRunner &)> &serve) {
    struct Wrong final : TuneRunner {
      void compile(const TileSizes &, Pass) override {}
      bool sharesProcessors() const override { return false; }
      double error(const TileSizes &, Pass, uint64_t) override { return 2; }
      double milliseconds(const TileSizes &, Pass) override { return 1; }
    } runner;
    serve(runner);
  };
  auto goesOn = [](const TuneProgress &) { return true; };
  CHECK_THROWS_WITH_AS((void)tune({forward()}, wrong, 1s, 1, goesOn),
                       "attention_forward with the sizes of the model's choice: wrong, 2.000000 "
                       "times the error that it may have",
                       InputError);
  TuneWorker::Body none = [](const std::function<void(TuneRunner &)> &) {
    throw InputError("no device");
  };
  CHECK_THROWS_WITH_AS((void)tune({forward()}, none, 1s, 1, goesOn), "no device", InputError);
}

TEST_CASE("the machine's peak comes from the worker; without it there is a reason") {
  struct Machine final : TuneRunner {
    void compile(const TileSizes &, Pass) override {}
    bool sharesProcessors() const override { return false; }
    double error(const TileSizes &, Pass, uint64_t) override { return 0; }
    double milliseconds(const TileSizes &, Pass) override { return 1; }
    MachinePeak peak() override {
      if (crashes)
        (void)raise(SIGSEGV);
      return {.flopsPerSecond = 2e12, .products = "FMA", .problem = "no memory"};
    }
    bool crashes = false;
  };
  auto peakOf = [](bool crashes) {
    return TuneWorker([=](const std::function<void(TuneRunner &)> &serve) {
             Machine runner;
             runner.crashes = crashes;
             serve(runner);
           })
        .peak();
  };
  MachinePeak peak = peakOf(false);
  CHECK(peak.flopsPerSecond == 2e12);
  CHECK(peak.bytesPerSecond == 0);
  CHECK(peak.products == "FMA");
  CHECK(peak.problem == "no memory");
  CHECK(peakOf(true).problem.starts_with("signal 11 ("));
  TuneWorker none([](const std::function<void(TuneRunner &)> &) { throw InputError("no device"); });
  CHECK(none.peak().problem == "no device");
}

TEST_CASE("a host's peak is measured, whatever the type") {
  HostPool pool(2);
  for (DType dtype : {DType::F32, DType::BF16, DType::F16}) {
    MachinePeak peak = hostPeak(pool, dtype);
    CHECK(peak.bytesPerSecond > 0);
    CHECK((peak.flopsPerSecond > 0) == peak.problem.empty());
    CHECK(peak.memory.ends_with(", 2 threads"));
  }
}

TEST_CASE("the products of a GPU's peak name their type") {
  CHECK(peakPtx(DType::BF16).find("m16n8k16.row.col.f32.bf16.bf16.f32") != std::string::npos);
  CHECK(peakPtx(DType::F16).find("m16n8k16.row.col.f32.f16.f16.f32") != std::string::npos);
  CHECK(peakPtx(DType::F32).find("m16n8k8.row.col.f32.tf32.tf32.f32") != std::string::npos);
}

TEST_CASE("a worker that hangs is ended, and the next job gets a new one") {
  TuneWorker worker([](const std::function<void(TuneRunner &)> &serve) {
    struct Slow final : TuneRunner {
      void compile(const TileSizes &tile, Pass) override {
        if (tile.contains("q"))
          std::this_thread::sleep_for(1h);
      }
      bool sharesProcessors() const override { return false; }
      double error(const TileSizes &, Pass, uint64_t) override { return 0; }
      double milliseconds(const TileSizes &, Pass) override { return double(getpid()); }
    } runner;
    serve(runner);
  });
  TuneWorker::Reply first = worker.run({.turns = 2}, 30s);
  REQUIRE(first.ms.size() == 2);
  CHECK(worker.run({.tile = {{"q", 1}}}, 200ms).outcome == TuneWorker::Outcome::TimedOut);
  TuneWorker::Reply second = worker.run({}, 30s);
  REQUIRE(second.outcome == TuneWorker::Outcome::Done);
  CHECK(second.ms != first.ms);
}
