#include "ringc/tune/TuneAttention.h"

#include "ringc/attention/HostAttentionRing.h"
#include "ringc/attention/shared/Extents.h"
#include "ringc/attention/shared/Options.h"
#include "ringc/attention/shared/PassWork.h"
#include "ringc/compiler/spec/TileSpace.h"
#include "ringc/jit/HostCompiler.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <memory>
#include <optional>
#include <random>
#include <utility>

namespace ringc {

namespace {

using Clock = std::chrono::steady_clock;

/// Both passes of logical ranks on the host.
class HostTuneRunner final : public TuneRunner {
public:
  explicit HostTuneRunner(const TuneRequest &given)
      : request(given), context(hostContext(given.threads)), inputs(given.inputs) {
    const AttentionOptions &options = request.options;
    int64_t kvHeads = options.kvHeads ? options.kvHeads : options.heads,
            valueDim = options.valueHeadDim ? options.valueHeadDim : options.headDim;
    const auto &[batch, queries, keys] = request.shape;
    q = random({batch, queries, options.heads, options.headDim});
    k = random({batch, keys, kvHeads, options.headDim});
    v = random({batch, keys, kvHeads, valueDim});
    dout = random({batch, queries, options.heads, valueDim});
    inputs.q = q;
    inputs.k = k;
    inputs.v = v;
  }

  void compile(const TuneSetup &setup, Pass pass) override { ringOf(setup).prepare(pass, inputs); }
  bool sharesProcessors() const override { return true; }

  double error(const TuneSetup &setup, Pass pass, uint64_t) override {
    HostAttentionRing ring = ringOf(setup);
    if (!forward) {
      HostAttentionRing own = ringOf({});
      forward = own.forward(inputs);
      gradients = own.backward(inputs, *forward, dout);
    }
    if (pass == Pass::Forward)
      return distance(ring.forward(inputs).out, forward->out);
    HostAttentionRing::Gradients found = ring.backward(inputs, *forward, dout);
    return std::max({distance(found.dq, gradients->dq), distance(found.dk, gradients->dk),
                     distance(found.dv, gradients->dv)});
  }

  double milliseconds(const TuneSetup &setup, Pass pass) override {
    auto known = std::ranges::find(rings, setup, &std::pair<TuneSetup, HostAttentionRing>::first);
    if (known == rings.end()) {
      constexpr size_t most = 3;
      if (rings.size() == most)
        rings.pop_front();
      known = rings.emplace(rings.end(), setup, ringOf(setup));
    }
    Clock::time_point begin = Clock::now();
    if (pass == Pass::Forward)
      (void)known->second.forward(inputs);
    else
      (void)known->second.backward(inputs, *forward, dout);
    return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
  }

private:
  HostTensor random(std::initializer_list<int64_t> shape) {
    HostTensor exact(DType::F32, shape), rounded(request.options.dtype, shape);
    std::normal_distribution<float> normal;
    std::generate_n(exact.dataAs<float>(), exact.elementCount(), [&] { return normal(numbers); });
    convert(exact, rounded);
    return rounded;
  }

  /// Without a table: what is not in `setup` is the model's choice.
  HostAttentionRing ringOf(const TuneSetup &setup) const {
    AttentionOptions options = request.options;
    options.tile = setup.tile;
    options.tune = "";
    options.layout = setup.layout.value_or(options.layout);
    if (setup.schedule)
      options.schedule = setup.schedule;
    return {options, request.ranks, context};
  }

  /// Relative, over what two roundings of the type may be apart.
  double distance(const HostTensor &a, const HostTensor &b) const {
    HostTensor first(DType::F32, a.shape()), second(DType::F32, b.shape());
    convert(a, first);
    convert(b, second);
    double apart = 0, norm = 0;
    for (int64_t at = 0; at < first.elementCount(); ++at) {
      double x = first.dataAs<float>()[at], y = second.dataAs<float>()[at];
      if (x == y || (std::isnan(x) && std::isnan(y)))
        continue;
      apart += (x - y) * (x - y);
      norm += y * y;
    }
    double bar = request.options.dtype == DType::F32   ? 4e-5
                 : request.options.dtype == DType::F16 ? 4e-3
                                                       : 3e-2;
    return apart == 0 ? 0 : std::sqrt(apart / norm) / bar;
  }

  const TuneRequest &request;
  std::mt19937_64 numbers{request.seed};
  AttentionContext context;
  AttentionInputs inputs;
  HostTensor q, k, v, dout;
  std::optional<HostAttentionRing::Forward> forward; ///< with the model's choice
  std::optional<HostAttentionRing::Gradients> gradients;
  std::deque<std::pair<TuneSetup, HostAttentionRing>> rings; ///< those used last
};

} // namespace

std::vector<TuneTask> tuneTasks(const TuneRequest &request, const SourceSet &sources,
                                const Target &target) {
  validate(request.options);
  AttentionOptions options =
      target.isGpu() ? completed(request.options) : completed(request.options, hostProcessors());
  int ringSize = options.ringSize ? options.ringSize : request.ranks;
  (void)RankProblem(options, request.ranks, 0, request.shape);
  options.tile.clear();
  std::vector<TuneTask> tasks;
  for (Pass pass : request.passes) {
    std::vector<std::string_view> kernels = {"attention_forward"};
    if (pass == Pass::Backward) {
      BackwardNames names = backwardNames(*options.backward);
      kernels = {names.keys, names.queries};
    }
    for (std::string_view kernel : kernels) {
      Spec spec = specOf(options, ringSize, request.inputs, kernel);
      spec.target = target.name;
      if (TileSpace(spec, target).dimensions().empty())
        continue;
      TuneTask &task = tasks.emplace_back();
      task.passes = {pass};
      task.spec = spec;
      task.target = target;
      task.key =
          tuneKeyOf(spec, sources, target, workOf(options, ringSize, request.shape.keyLength));
      task.work = passWork(options, request.shape, pass);
    }
  }
  return tasks;
}

namespace {

/// Nothing of it is a kernel's: which way is best depends on all of them.
TuneTask ringTask(const TuneRequest &request, const SourceSet &sources, const Target &target,
                  std::vector<RingChoice> ways) {
  TuneRequest forward = request;
  forward.passes = {Pass::Forward};
  TuneTask task = tuneTasks(forward, sources, target).front();
  task.passes = request.passes;
  task.ways = std::move(ways);
  task.work = {};
  AttentionOptions options =
      target.isGpu() ? completed(request.options) : completed(request.options, hostProcessors());
  for (Pass each : request.passes) {
    RooflineWork own = passWork(options, request.shape, each);
    task.work.flops += own.flops;
    task.work.bytes += own.bytes;
  }
  std::optional<Pass> pass;
  if (request.passes.size() == 1)
    pass = request.passes[0];
  task.key = ringKeyOf(task.key, pass, request.processes);
  return task;
}

} // namespace

TuneResult tune(const TuneRequest &request, const SourceSet &sources, const Target &target,
                TuneWorker &worker, std::chrono::duration<double> budget,
                const std::function<bool(const TuneProgress &)> &progress) {
  if (request.ways.size() < 2)
    return tune(tuneTasks(request, sources, target), worker, budget, request.seed, progress);
  constexpr double firstShare = 0.2, lastShare = 0.15, near = 1.1;
  constexpr int roundsOfTiles = 3; // TuneJudgement's
  TuneResult ring = tune({ringTask(request, sources, target, request.ways)}, worker,
                         budget * firstShare, request.seed, progress);
  if (ring.interrupted)
    return ring;
  const TunedKernel &ways = ring.kernels.front();
  const RingChoice best = *ways.candidates[ways.best].way;
  TuneRequest under = request;
  under.options.layout = best.layout;
  if (best.schedule)
    under.options.schedule = best.schedule;
  TuneResult all = tune(tuneTasks(under, sources, target), worker,
                        budget * (1 - firstShare - lastShare), request.seed, progress, ring.setup);
  std::vector<RingChoice> rest = {request.ways.front()};
  for (const TuneCandidate &each : ways.candidates)
    if (each.verdict == TuneVerdict::Measured && *each.way != rest.front() &&
        each.ratio < near * ways.candidates[ways.best].ratio)
      rest.push_back(*each.way);
  if (all.interrupted) {
    all.kernels.insert(all.kernels.begin(), ways);
    return all;
  }
  TuneResult again = tune({ringTask(request, sources, target, rest)}, worker, budget * lastShare,
                          request.seed, progress, all.setup);
  TunedKernel &last = again.kernels.front();
  last.space = ways.space;
  // One search, of whose time the tile sizes' is left out.
  for (TuneCandidate &each : last.candidates)
    for (TuneJudgement &judgement : each.judged) {
      judgement.seconds += ways.budget.count();
      judgement.round += roundsOfTiles;
    }
  last.budget += ways.budget;
  for (const TuneCandidate &each : ways.candidates) {
    auto known = std::ranges::find(last.candidates, each.way, &TuneCandidate::way);
    if (known == last.candidates.end())
      last.candidates.push_back(each);
    else
      known->judged.insert(known->judged.begin(), each.judged.begin(), each.judged.end());
  }
  all.kernels.insert(all.kernels.begin(), last);
  all.setup = again.setup;
  all.interrupted = again.interrupted;
  return all;
}

TuneResult tune(const TuneRequest &request, std::chrono::duration<double> budget,
                const std::function<bool(const TuneProgress &)> &progress) {
  TuneWorker worker([&](const std::function<void(TuneRunner &)> &serve) {
    HostTuneRunner runner(request);
    serve(runner);
  });
  return tune(request, compilerSources(userSources(request.options)), compilerHost(), worker,
              budget, progress);
}

} // namespace ringc
