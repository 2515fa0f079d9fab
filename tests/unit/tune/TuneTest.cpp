// The search, on a runner whose times are a formula and whose faults are planted.

#include "ringc/tune/Tune.h"
#include "ringc/comm/Transport.h"
#include "ringc/compiler/spec/TileSpace.h"
#include "ringc/support/Error.h"
#include "ringc/tune/DevicePeak.h"
#include "ringc/tune/HostPeak.h"

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

const std::vector<Pass> forwardPass = {Pass::Forward};

int64_t at(const TileSizes &tile, const char *name) {
  auto found = tile.find(std::string("attention_forward.") + name);
  return found == tile.end() ? 0 : found->second;
}

/// The fastest is q 32, kv 96; q 128 is the fastest of all, and wrong.
class Formula final : public TuneRunner {
public:
  explicit Formula(double noise) : wobble(1, noise) {}

  void compile(const TuneSetup &setup, Pass) override {
    if (at(setup.tile, "q") == 16)
      throw InputError("attention_forward.tile:1:1: error: too large\nnote: where");
  }
  bool sharesProcessors() const override { return true; }
  double error(const TuneSetup &setup, Pass, uint64_t) override {
    if (at(setup.tile, "q") == 48 && at(setup.tile, "kv") == 64 &&
        at(setup.tile, "micro_rows") == 4)
      (void)raise(SIGSEGV);
    if (setup.layout == SequenceLayout::striped())
      throw PeerError(0, 1, 0, Channel::Results, "gone");
    return at(setup.tile, "q") == 128 ? std::nan("") : at(setup.tile, "q") == 96 ? 1.5 : 0.5;
  }
  double milliseconds(const TuneSetup &setup, Pass) override {
    double ms = 10;
    ms *= at(setup.tile, "q") == 128
              ? 0.1
              : 1 + 0.1 * std::abs(std::log2(double(at(setup.tile, "q")) / 32));
    ms *= 1 + 0.1 * std::abs(std::log2(double(at(setup.tile, "kv")) / 96));
    ms *= 1 + 0.02 * double(at(setup.tile, "micro_rows") == 1);
    ms *= setup.layout == SequenceLayout::zigzag() ? 0.7 : 1;
    ms *= setup.schedule == Schedule::Ring ? 0.9 : 1;
    return ms * wobble(random);
  }

private:
  std::mt19937 random{5};
  std::normal_distribution<double> wobble;
};

TuneTask forward() {
  Spec spec{.headDim = 64};
  return {.passes = {Pass::Forward},
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

TuneResult search(const std::vector<TuneTask> &tasks, const TuneWorker::Body &body,
                  std::chrono::duration<double> budget,
                  const std::function<bool(const TuneProgress &)> &progress) {
  TuneWorker worker(body);
  return tune(tasks, worker, budget, 1, progress);
}

} // namespace

TEST_CASE("the fastest that is right is found; what is wrong, refused or crashes costs itself") {
  size_t told = 0;
  TuneResult result = search({forward()}, formula(0.003), 20s, [&](const TuneProgress &progress) {
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
      search({forward()}, formula(0.3), 3s, [](const TuneProgress &) { return true; });
  const TunedKernel &kernel = result.kernels.at(0);
  CHECK(kernel.spread > 0.05);
  if (kernel.best != 0)
    CHECK(kernel.candidates[kernel.best].ratio < 0.9);
}

TEST_CASE("an interrupted search keeps what it knows; without time the default stays") {
  int left = 5;
  TuneResult result = search({forward(), forward()}, formula(0), 60s,
                             [&](const TuneProgress &) { return --left > 0; });
  CHECK(result.interrupted);
  REQUIRE(result.kernels.size() == 1);
  CHECK(result.kernels[0].candidates.size() == 5);
  std::vector<TuneEntry> entries = entriesOf(result, "", "");
  REQUIRE(entries.size() == 1);
  CHECK((result.kernels[0].best != 0 || entries[0].nanoseconds == entries[0].defaultNanoseconds));
  result = search({forward()}, formula(0), 1ns, [](const TuneProgress &) { return true; });
  CHECK(result.kernels.at(0).best == 0);
  CHECK(result.kernels.at(0).candidates.size() == 1);
}

TEST_CASE("where the default cannot be had the first that can takes its place") {
  TuneResult result = search(
      {forward()},
      [](const std::function<void(TuneRunner &)> &serve) {
        struct NotTheDefault final : TuneRunner {
          void compile(const TuneSetup &setup, Pass) override {
            if (at(setup.tile, "q") == 64)
              throw InputError("no tiles of 64");
          }
          bool sharesProcessors() const override { return true; }
          double error(const TuneSetup &, Pass, uint64_t) override { return 0; }
          double milliseconds(const TuneSetup &setup, Pass) override {
            return at(setup.tile, "q") == 32 ? 1 : 10;
          }
        } runner;
        serve(runner);
      },
      20s, [](const TuneProgress &) { return true; });
  const TunedKernel &kernel = result.kernels.at(0);
  CHECK(kernel.candidates[0].verdict == TuneVerdict::Refused);
  CHECK(kernel.candidates[0].reason == "no tiles of 64");
  REQUIRE(kernel.base > 0);
  CHECK(kernel.candidates[kernel.base].ratio == 1);
  for (size_t before = 0; before < kernel.base; ++before)
    CHECK(kernel.candidates[before].verdict == TuneVerdict::Refused);
  CHECK(kernel.candidates[kernel.best].config.tile.at("q") == 32);
  CHECK(entriesOf(result, "", "").at(0).config.tile.at("q") == 32);
}

TEST_CASE("sizes that are all wrong, and a worker that cannot begin, are errors") {
  TuneWorker::Body wrong = [](const std::function<void(TuneRunner &)> &serve) {
    struct Wrong final : TuneRunner {
      void compile(const TuneSetup &, Pass) override {}
      bool sharesProcessors() const override { return false; }
      double error(const TuneSetup &, Pass, uint64_t) override { return 2; }
      double milliseconds(const TuneSetup &, Pass) override { return 1; }
    } runner;
    serve(runner);
  };
  auto goesOn = [](const TuneProgress &) { return true; };
  try {
    (void)search({forward()}, wrong, 20s, goesOn);
    FAIL("no error");
  } catch (const InputError &error) {
    std::string count = std::to_string(TileSpace(forward().spec, host).candidates().size());
    CHECK(error.what() == "attention_forward: of " + count + " sizes " + count +
                              " were tried, and none can be had; " + count +
                              " wrong, the first: 2.000000 times the error that it may have");
  }
  TuneWorker::Body none = [](const std::function<void(TuneRunner &)> &) {
    throw InputError("no device");
  };
  CHECK_THROWS_WITH_AS((void)search({forward()}, none, 1s, goesOn), "no device", InputError);
}

TEST_CASE("the machine's peak comes from the worker; without it there is a reason") {
  struct Machine final : TuneRunner {
    void compile(const TuneSetup &, Pass) override {}
    bool sharesProcessors() const override { return false; }
    double error(const TuneSetup &, Pass, uint64_t) override { return 0; }
    double milliseconds(const TuneSetup &, Pass) override { return 1; }
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
  Target target;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    target.vectorBytes = 32;
  CHECK(productPeaks(pool, Target{}, DType::BF16).empty());
  CHECK_FALSE(hostPeak(pool, Target{}, DType::F32).problem.empty());
  for (DType dtype : {DType::F32, DType::BF16, DType::F16}) {
    MachinePeak peak = hostPeak(pool, target, dtype);
    CHECK(peak.bytesPerSecond > 0);
    CHECK((peak.flopsPerSecond > 0) == peak.problem.empty());
    CHECK(peak.memory.ends_with(", 2 threads"));
    double fastest = 0;
    for (const ProductPeak &each : productPeaks(pool, target, dtype))
      fastest = std::max(fastest, each.flopsPerSecond);
    CHECK((fastest > 0) == (peak.flopsPerSecond > 0));
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
      void compile(const TuneSetup &setup, Pass) override {
        if (setup.tile.contains("q"))
          std::this_thread::sleep_for(1h);
      }
      bool sharesProcessors() const override { return false; }
      double error(const TuneSetup &, Pass, uint64_t) override { return 0; }
      double milliseconds(const TuneSetup &, Pass) override { return double(getpid()); }
    } runner;
    serve(runner);
  });
  TuneWorker::Reply first = worker.run({.passes = forwardPass, .turns = 2}, 30s);
  REQUIRE(first.ms.size() == 2);
  CHECK(worker.run({.passes = forwardPass, .setup = {.tile = {{"q", 1}}}}, 200ms).outcome ==
        TuneWorker::Outcome::TimedOut);
  TuneWorker::Reply second = worker.run({.passes = forwardPass}, 30s);
  REQUIRE(second.outcome == TuneWorker::Outcome::Done);
  CHECK(second.ms != first.ms);
}

TEST_CASE("the way of a ring is looked for as sizes are, and goes into what comes after it") {
  TuneTask ring = forward();
  ring.key.kernel = "ring";
  ring.ways = {{SequenceLayout::contiguous(), std::nullopt},
               {SequenceLayout::striped(), Schedule::Ring},
               {SequenceLayout::zigzag(), Schedule::AllGather},
               {SequenceLayout::zigzag(), Schedule::Ring}};
  TuneResult result =
      search({ring, forward()}, formula(0.003), 10s, [](const TuneProgress &) { return true; });
  REQUIRE(result.kernels.size() == 2);
  const TunedKernel &found = result.kernels[0];
  REQUIRE(found.candidates.size() == 4);
  CHECK(*found.candidates[found.best].way == ring.ways[3]);
  CHECK(found.candidates[1].verdict == TuneVerdict::Crashed);
  CHECK(found.candidates[1].reason.find("gone") != std::string::npos);
  CHECK(result.setup.layout == SequenceLayout::zigzag());
  CHECK(result.setup.schedule == Schedule::Ring);
  CHECK(result.setup.tile.at("attention_forward.q") == 32);
  std::vector<TuneEntry> entries = entriesOf(result, "1", "2026-01-01");
  CHECK(entries[0].layout == "zigzag");
  CHECK(entries[0].schedule == "ring");
  CHECK(entries[1].layout.empty());
}

TEST_CASE("after a fault of the device the next job gets a new process") {
  TuneWorker worker([](const std::function<void(TuneRunner &)> &serve) {
    struct Faulty final : TuneRunner {
      void compile(const TuneSetup &setup, Pass) override {
        if (setup.tile.contains("q"))
          throw std::runtime_error("an illegal address");
        if (setup.tile.contains("kv"))
          throw InputError("too large");
      }
      bool sharesProcessors() const override { return false; }
      double error(const TuneSetup &, Pass, uint64_t) override { return 0; }
      double milliseconds(const TuneSetup &, Pass) override { return double(getpid()); }
    } runner;
    serve(runner);
  });
  auto run = [&](const TileSizes &tile) {
    return worker.run({.passes = forwardPass, .setup = {.tile = tile}}, 30s);
  };
  TuneWorker::Reply first = run({}), refused = run({{"kv", 1}}), same = run({}),
                    fault = run({{"q", 1}}), second = run({});
  CHECK(refused.what == "too large");
  CHECK(same.ms == first.ms);
  CHECK(fault.outcome == TuneWorker::Outcome::Refused);
  CHECK(fault.what == "an illegal address");
  REQUIRE(second.outcome == TuneWorker::Outcome::Done);
  CHECK(second.ms != first.ms);
}
