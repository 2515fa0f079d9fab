#include "runtime/ring/Executor.h"

#include "runtime/Error.h"

#include <cstring>
#include <exception>
#include <memory>
#include <string>
#include <utility>

namespace ringc {

namespace {

using Clock = std::chrono::steady_clock;

std::span<std::byte> bytesOf(const Tensor &tensor) {
  return {tensor.dataAs<std::byte>(), size_t(tensor.byteCount())};
}

std::vector<Tensor> tensorsOf(std::span<const KeyIndexed> indexed) {
  std::vector<Tensor> tensors;
  for (const KeyIndexed &each : indexed)
    tensors.push_back(each.tensor);
  return tensors;
}

void checkRows(std::string_view argument, std::span<const KeyIndexed> tensors, int64_t rows,
               int64_t bytes) {
  int64_t sum = bytesPerKey(tensors);
  if (sum != bytes)
    throw InputError(std::string(argument) + " of a shard",
                     std::to_string(sum) + " bytes for a key",
                     "the plan's " + std::to_string(bytes));
  for (const KeyIndexed &each : tensors)
    if (each.tensor.dim(each.keyAxis) != rows)
      throw InputError(std::string(argument) + " of a shard", describe(each.tensor),
                       std::to_string(rows) + " rows on axis " + std::to_string(each.keyAxis));
}

void check(const Plan &plan, const RankShard &shard, const Transport &transport) {
  if (plan.rank != transport.rank() || plan.problem.rings.world != transport.world())
    throw InputError("plan",
                     "rank " + std::to_string(plan.rank) + " of " +
                         std::to_string(plan.problem.rings.world),
                     "the transport's rank " + std::to_string(transport.rank()) + " of " +
                         std::to_string(transport.world()));
  checkRows("keys", shard.keys, plan.steps[0].rows, plan.problem.bytesPerKey);
  if (plan.pass == Pass::Forward)
    return;
  checkRows("gradients", shard.gradients, plan.steps[0].rows, plan.problem.gradientBytesPerKey);
  for (const KeyIndexed &each : shard.gradients)
    if (each.tensor.dtype() != DType::F32 || !each.tensor.isContiguous())
      throw InputError("gradients of a shard", describe(each.tensor), "f32 and row-major");
}

} // namespace

Execution::Execution(const Plan &ownPlan, const RankShard &shard, HopKernels &hopKernels,
                     Transport &ownTransport, HopMemory &hopMemory, Trace *asked)
    : plan(ownPlan), kernels(hopKernels), transport(ownTransport), memory(hopMemory),
      trace(asked, plan.pass, plan.rank, [this] { return kernels.traceClock(); }),
      keyModels(shard.keys), ownKeys(tensorsOf(shard.keys)) {
  check(plan, shard, transport);
  if (plan.pass == Pass::Backward) {
    gradientModels = shard.gradients;
    ownGradients = tensorsOf(shard.gradients);
  }
}

void Execution::begin() {
  sentBefore = transport.sentBytes();
  receivedBefore = transport.receivedBytes();
  memory.reserve(plan, keyModels, gradientModels);
  report.hopBufferBytes = memory.bytes();
  zero(ownGradients);
}

void Execution::post(int number) {
  const Step &step = plan.steps[size_t(number)];
  resident = residentKeys(step);
  gatherToSend(step);
  if (!earlierStays(step))
    postKeys(step);
}

void Execution::compute(int number) {
  const Step &step = plan.steps[size_t(number)];
  finishGradients();
  std::vector<Tensor> gradients;
  if (plan.pass == Pass::Backward && step.computes()) {
    gradients = gradientsAt(step);
    if (step.step > 0 && !gradientsCame)
      zero(gradients);
  }
  HopBlock block{.step = step.step,
                 .owner = step.owner,
                 .rows = step.rows,
                 .visibility = step.visibility,
                 .begins = step.step == plan.firstComputed(),
                 .ends = step.step == plan.lastComputed(),
                 .stays = stays(step),
                 .keys = resident,
                 .gradients = gradients};
  auto timed = [&](auto &&body) {
    size_t mark = trace.mark();
    Clock::time_point start = Clock::now();
    body();
    report.computing += Clock::now() - start;
    trace.span(step.step, SpanKind::Compute, mark);
  };
  auto runRest = [&] {
    if (step.computes())
      timed([&] { kernels.runBesideGradients(block); });
  };
  if (step.computes()) {
    timed([&] { kernels.run(block); });
    ++report.computedSteps;
  }
  if (earlierStays(step)) { // the next keys come where it lay
    runRest();
    postKeys(step);
    postGradients(step);
  } else {
    postGradients(step);
    runRest();
  }
}

void Execution::finish(int) { wait(keysMove); }

ExecutionReport Execution::end() {
  finishGradients();
  if (!plan.firstComputed())
    kernels.runNothing();
  report.sentBytes = transport.sentBytes() - sentBefore;
  report.receivedBytes = transport.receivedBytes() - receivedBefore;
  trace.finish();
  return report;
}

/// Nothing where the plan saw that nobody here or further on needs them.
std::vector<Tensor> Execution::residentKeys(const Step &step) const {
  if (step.step == 0)
    return ownKeys;
  bool came = plan.steps[size_t(step.step) - 1].keysFrom.has_value();
  return came ? keysAt(step) : std::vector<Tensor>();
}

std::vector<Tensor> Execution::keysAt(const Step &step) const {
  return memory.keys[step.step % 2].views(keyModels, step.rows);
}

/// Where this rank sums gradients for the owner of the step's keys.
std::vector<Tensor> Execution::gradientsAt(const Step &step) const {
  return step.step == 0 ? ownGradients
                        : memory.gradients[step.step % 2].views(gradientModels, step.rows);
}

/// Where a transfer hides behind no kernel anyway, both hop buffers are filled before the kernels
/// run: half the launches, each with twice the work on what it loads.
bool Execution::stays(const Step &step) const {
  return !transport.movesBesideKernels() && step.step % 2 == 0 && step.computes() &&
         size_t(step.step) + 1 < plan.steps.size() && after(step).computes();
}

bool Execution::earlierStays(const Step &step) const {
  return step.step > 0 && stays(plan.steps[size_t(step.step) - 1]);
}

/// What is sent lies without gaps, and is used from there too.
void Execution::gatherToSend(const Step &step) {
  std::vector<Tensor> gathered;
  for (size_t i = 0; i < resident.size() && step.keysTo; ++i)
    if (!resident[i].isContiguous()) { // only own keys can be
      if (gathered.empty())
        gathered = keysAt(step);
      kernels.copy(resident[i], gathered[i]);
      resident[i] = gathered[i];
    }
}

void Execution::postKeys(const Step &step) {
  Exchange exchange{.hop = step.step, .channel = Channel::Keys, .sends = {}, .receives = {}};
  if (step.keysTo)
    for (const Tensor &from : resident)
      exchange.sends.push_back({*step.keysTo, bytesOf(from)});
  if (step.keysFrom)
    for (const Tensor &to : keysAt(after(step)))
      exchange.receives.push_back({*step.keysFrom, bytesOf(to)});
  keysMove = post(exchange);
}

void Execution::postGradients(const Step &step) {
  Exchange exchange{.hop = step.step, .channel = Channel::Gradients, .sends = {}, .receives = {}};
  if (step.gradientsTo)
    for (const Tensor &from : gradientsAt(step))
      exchange.sends.push_back({*step.gradientsTo, bytesOf(from)});
  if (step.gradientsFrom)
    for (const Tensor &to : gradientsAt(after(step)))
      exchange.receives.push_back({*step.gradientsFrom, bytesOf(to)});
  if (step.homeFrom) {
    homecoming = memory.home.views(gradientModels, plan.steps[0].rows);
    for (const Tensor &to : homecoming)
      exchange.receives.push_back({*step.homeFrom, bytesOf(to)});
  }
  gradientsMove = post(exchange);
  gradientsCame = step.gradientsFrom.has_value();
}

/// Before the next kernel, which writes where the last sums came to, or lie still.
void Execution::finishGradients() {
  wait(gradientsMove);
  for (size_t i = 0; i < homecoming.size(); ++i)
    kernels.add(homecoming[i], ownGradients[i]);
  homecoming.clear();
}

void Execution::zero(std::span<const Tensor> tensors) {
  for (const Tensor &tensor : tensors)
    if (!tensor.empty())
      kernels.zero(tensor);
}

Execution::Move Execution::post(const Exchange &exchange) {
  if (exchange.empty())
    return {};
  SpanKind kind = exchange.channel == Channel::Keys ? SpanKind::Keys : SpanKind::Gradients;
  size_t mark = trace.mark();
  Move move{transport.post(exchange), exchange.hop, kind, mark};
  trace.span(move.hop, SpanKind::Exposed, mark);
  return move;
}

void Execution::wait(Move &move) {
  if (!move.transfer)
    return;
  size_t mark = trace.mark();
  Clock::time_point start = Clock::now();
  move.transfer->wait();
  move.transfer.reset();
  report.waiting += Clock::now() - start;
  trace.span(move.hop, SpanKind::Exposed, mark);
  trace.span(move.hop, move.kind, move.posted);
}

void HopKernels::zero(const Tensor &tensor) {
  std::memset(tensor.data(), 0, size_t(tensor.byteCount()));
}

void HopKernels::add(const Tensor &part, const Tensor &sum) {
  const float *from = part.dataAs<float>();
  float *to = sum.dataAs<float>();
  for (int64_t i = 0, count = sum.elementCount(); i < count; ++i)
    to[i] += from[i];
}

std::unique_ptr<TraceClock> HopKernels::traceClock() { return std::make_unique<HostTraceClock>(); }

void HopKernels::copy(const Tensor &from, const Tensor &to) { ringc::copy(from, to); }

ExecutionReport execute(const Plan &plan, const RankShard &shard, HopKernels &kernels,
                        Transport &transport, HopMemory &memory, Trace *trace) {
  try {
    Execution execution(plan, shard, kernels, transport, memory, trace);
    execution.begin();
    for (int step = 0; step < execution.steps(); ++step) {
      execution.post(step);
      execution.compute(step);
      execution.finish(step);
    }
    return execution.end();
  } catch (const std::exception &error) {
    transport.abort(error.what());
    throw;
  } catch (...) {
    transport.abort("unknown error");
    throw;
  }
}

std::vector<ExecutionReport> executeInTurns(std::span<Execution *const> ranks) {
  std::vector<ExecutionReport> reports;
  for (Execution *rank : ranks)
    rank->begin();
  for (int step = 0; !ranks.empty() && step < ranks[0]->steps(); ++step) {
    for (Execution *rank : ranks)
      rank->post(step);
    for (Execution *rank : ranks)
      rank->compute(step);
    for (Execution *rank : ranks)
      rank->finish(step);
  }
  for (Execution *rank : ranks)
    reports.push_back(rank->end());
  return reports;
}

} // namespace ringc
