#include "ringc/ring/Executor.h"

#include "ringc/support/Error.h"

#include <cassert>
#include <cstring>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace ringc {

namespace {

using Clock = std::chrono::steady_clock;

std::span<std::byte> bytesOf(const Tensor &tensor) {
  return {tensor.dataAs<std::byte>(), size_t(tensor.byteCount())};
}

/// The rows of a chunk.
std::vector<Tensor> rowsOf(std::span<const KeyIndexed> shard, const Step &step) {
  std::vector<Tensor> tensors;
  for (const KeyIndexed &each : shard)
    tensors.push_back(each.tensor.slice(each.keyAxis, step.firstRow, step.rows));
  return tensors;
}

/// Row-major parts of a tensor whose rows of `axis` are some of a row-major one's.
std::vector<Tensor> denseParts(const Tensor &tensor, int axis) {
  if (tensor.isContiguous())
    return {tensor};
  if (axis == 0)
    return {tensor};
  std::vector<Tensor> parts;
  for (int64_t at = 0; at < tensor.dim(0); ++at)
    for (const Tensor &part : denseParts(tensor.select(0, at), axis - 1))
      parts.push_back(part);
  return parts;
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
  checkRows("keys", shard.keys, plan.keyRows, plan.problem.bytesPerKey);
  if (plan.pass == Pass::Forward)
    return;
  checkRows("gradients", shard.gradients, plan.keyRows, plan.problem.gradientBytesPerKey);
  for (const KeyIndexed &each : shard.gradients)
    if (each.tensor.dtype() != DType::F32 || !each.tensor.isContiguous())
      throw InputError("gradients of a shard", describe(each.tensor), "f32 and row-major");
}

} // namespace

Execution::Execution(const Plan &ownPlan, const RankShard &shard, HopKernels &hopKernels,
                     Transport &ownTransport, HopMemory &hopMemory, Trace *asked)
    : plan(ownPlan), firstComputed(plan.firstComputed()), lastComputed(plan.lastComputed()),
      kernels(hopKernels), transport(ownTransport), memory(hopMemory),
      trace(asked, plan.pass, plan.rank, [this] { return kernels.traceClock(); }),
      keyModels(shard.keys) {
  check(plan, shard, transport);
  if (plan.pass == Pass::Backward)
    gradientModels = shard.gradients;
}

void Execution::begin() {
  sentBefore = transport.sentBytes();
  receivedBefore = transport.receivedBytes();
  memory.reserve(plan, keyModels, gradientModels,
                 borrows() ? Plan::FromOthers::Borrowed : Plan::FromOthers::Received);
  report.hopBufferBytes = memory.bytes();
  for (const KeyIndexed &own : gradientModels)
    ownGradients.push_back(own.tensor);
  zero(ownGradients);
}

void Execution::post(int number) {
  const Step &step = plan.steps[size_t(number)];
  resident = residentKeys(step);
  gatherToSend(step);
  if (!keysWait(step))
    postKeys(step);
}

void Execution::compute(int number) {
  const Step &step = plan.steps[size_t(number)];
  if (borrows())
    lendGradients(step);
  else
    finishGradients(plan.gradientsUnderWay());
  std::vector<Tensor> gradients;
  if (plan.pass == Pass::Backward && step.computes())
    gradients = gradientsToAddTo(step);
  HopBlock block{.step = step.step,
                 .owner = step.owner,
                 .firstRow = step.firstRow,
                 .rows = step.rows,
                 .visibility = step.visibility,
                 .begins = step.step == firstComputed,
                 .ends = step.step == lastComputed,
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
  if (keysWait(step)) { // the next keys come where it lay
    runRest();
    postKeys(step);
    postGradients(step);
  } else {
    postGradients(step);
    runRest();
  }
}

void Execution::finish(int) {
  if (borrows())
    borrow();
  else
    finishKeys(plan.problem.schedule.chunks - 1);
}

ExecutionReport Execution::end() {
  finishGradients(0);
  if (!firstComputed)
    kernels.runNothing();
  giveBack();
  report.sentBytes = transport.sentBytes() - sentBefore;
  report.receivedBytes = transport.receivedBytes() - receivedBefore;
  trace.finish();
  return report;
}

bool Execution::borrows() const { return !plan.isRing() && transport.lends(); }

void Execution::borrow() {
  if (keysMoves.empty())
    return;
  Move keysMove = std::move(keysMoves.front());
  keysMoves.clear();
  if (!keysMove.transfer)
    return;
  std::vector<std::span<std::byte>> parts;
  exposed(keysMove, [&] { parts = keysMove.transfer->borrowed(); });
  trace.span(keysMove.hop, keysMove.kind, keysMove.posted);
  loan = std::move(keysMove.transfer);
  borrowed.resize(plan.steps.size());
  auto part = parts.begin();
  for (const Step &step : plan.steps)
    if (step.keysFrom)
      for (const KeyIndexed &model : keyModels)
        borrowed[size_t(step.step) + 1].push_back(
            model.like((part++)->data(), plan.fed(step.step).rows));
}

/// Own keys must last until the others have used them: a wait for kernels, not for a transfer.
void Execution::giveBack() {
  borrowed.clear();
  if (loan)
    loan->wait();
  loan.reset();
}

/// Nothing where the plan saw that nobody here or further on needs them.
std::vector<Tensor> Execution::residentKeys(const Step &step) const {
  if (step.hop == 0)
    return rowsOf(keyModels, step);
  bool came = plan.feeder(step.step).keysFrom.has_value();
  return came ? keysAt(step) : std::vector<Tensor>();
}

std::vector<Tensor> Execution::keysAt(const Step &step) const {
  if (borrows() && step.hop > 0)
    return borrowed[size_t(step.step)];
  return memory.keys[size_t(plan.keyBuffer(step.step))].views(keyModels, step.rows);
}

/// Where this rank sums gradients for the owner of the step's keys.
std::vector<Tensor> Execution::gradientsAt(const Step &step) const {
  return step.hop == 0 ? rowsOf(gradientModels, step)
                       : memory.gradients[size_t(plan.gradientBuffer(step.step))].views(
                             gradientModels, step.rows);
}

/// The same with what has been summed so far, or zeros.
std::vector<Tensor> Execution::gradientsToAddTo(const Step &step) {
  if (step.gradientsTo && borrows())
    return ownersGradients;
  std::vector<Tensor> gradients = gradientsAt(step);
  if (step.hop > 0 && !plan.feeder(step.step).gradientsFrom)
    zero(gradients);
  return gradients;
}

/// Where ranks lend, a rank adds its part where it belongs, in place of sending it there: after
/// the owner's own, and in the order of the steps, as parts that were sent would be.
void Execution::lendGradients(const Step &step) {
  finishGradients(0); // who had them at the step before has added
  Exchange exchange{.hop = step.step, .channel = Channel::Gradients};
  if (step.homeFrom)
    for (const Tensor &own : ownGradients)
      exchange.loans.push_back({*step.homeFrom, bytesOf(own)});
  if (step.gradientsTo)
    for (const KeyIndexed &model : gradientModels)
      exchange.borrows.push_back(
          {*step.gradientsTo, size_t(model.bytesPerKey() * step.rows), BorrowPart::Use::Add});
  if (exchange.empty())
    return;
  Move move = post(exchange);
  std::vector<std::span<std::byte>> parts;
  if (step.gradientsTo)
    exposed(move, [&] { parts = move.transfer->borrowed(); });
  ownersGradients.clear();
  for (size_t i = 0; i < parts.size(); ++i)
    ownersGradients.push_back(gradientModels[i].like(parts[i].data(), step.rows));
  gradientsMoves.push_back({.move = std::move(move), .homecoming = {}, .home = {}});
}

/// Whether the kernels may take this block and the next one at once. Where a transfer hides behind
/// no kernel anyway, a ring fills both hop buffers before the kernels run: half the launches, each
/// with twice the work on what it loads. An all-gather has all blocks in one launch then, and else
/// all but its own, which is computed while the others come.
bool Execution::sharesLaunch(const Step &step) const {
  bool whileKeysCome = transport.movesBesideKernels();
  switch (plan.problem.schedule.kind) {
  case Schedule::Kind::Ring:
    return !whileKeysCome && step.step % 2 == 0 && size_t(step.step) + 1 < plan.steps.size() &&
           plan.steps[size_t(step.step) + 1].computes();
  case Schedule::Kind::AllGather:
    return (!whileKeysCome || step.step > 0) && step.step < lastComputed;
  }
  assert(false && "not a Schedule");
  return false;
}

bool Execution::stays(const Step &step) const { return step.computes() && sharesLaunch(step); }

/// Whether keys that are still to be used, of the step before at most, lie where the next ones
/// come.
bool Execution::keysWait(const Step &step) const {
  return plan.isRing() && plan.problem.schedule.chunks == 1 && step.step > 0 &&
         stays(plan.steps[size_t(step.step) - 1]);
}

/// What is sent lies without gaps, and is used from there too.
void Execution::gatherToSend(const Step &step) {
  if (step.hop > 0 || !plan.sendsOwnKeys()) // what came has no gaps
    return;
  std::vector<Tensor> gathered;
  for (size_t i = 0; i < resident.size(); ++i)
    if (!resident[i].isContiguous()) {
      if (gathered.empty())
        gathered = keysAt(step);
      kernels.copy(resident[i], gathered[i]);
      resident[i] = gathered[i];
    }
}

void Execution::addKeys(const Step &step, Exchange &exchange) const {
  if (step.keysTo)
    for (const Tensor &from : resident)
      exchange.sends.push_back({*step.keysTo, bytesOf(from)});
  if (step.keysFrom && borrows())
    for (const KeyIndexed &model : keyModels)
      exchange.borrows.push_back(
          {*step.keysFrom, size_t(model.bytesPerKey() * plan.fed(step.step).rows)});
  else if (step.keysFrom)
    for (const Tensor &to : keysAt(plan.fed(step.step)))
      exchange.receives.push_back({*step.keysFrom, bytesOf(to)});
}

/// Those of the step; an all-gather's are one, at its start.
void Execution::postKeys(const Step &step) {
  Exchange exchange{.hop = step.step, .channel = Channel::Keys, .sends = {}, .receives = {}};
  switch (plan.problem.schedule.kind) {
  case Schedule::Kind::Ring:
    addKeys(step, exchange);
    break;
  case Schedule::Kind::AllGather:
    if (step.step > 0)
      return;
    for (const Step &each : plan.steps)
      addKeys(each, exchange);
    break;
  }
  keysMoves.push_back(post(exchange));
}

void Execution::finishKeys(int underWay) {
  for (; keysMoves.size() > size_t(underWay); keysMoves.pop_front())
    wait(keysMoves.front());
}

void Execution::postGradients(const Step &step) {
  if (borrows()) {
    if (step.gradientsTo)
      gradientsMoves.back().move.transfer->giveBack();
    return;
  }
  Exchange exchange{.hop = step.step, .channel = Channel::Gradients, .sends = {}, .receives = {}};
  if (step.gradientsTo)
    for (const Tensor &from : gradientsAt(step))
      exchange.sends.push_back({*step.gradientsTo, bytesOf(from)});
  if (step.gradientsFrom)
    for (const Tensor &to : gradientsAt(plan.fed(step.step)))
      exchange.receives.push_back({*step.gradientsFrom, bytesOf(to)});
  GradientsMove made;
  if (step.homeFrom) {
    const Step &own = plan.home(step.step);
    made.homecoming =
        memory.home[size_t(plan.homeBuffer(step.step))].views(gradientModels, own.rows);
    made.home = rowsOf(gradientModels, own);
    for (const Tensor &to : made.homecoming)
      exchange.receives.push_back({*step.homeFrom, bytesOf(to)});
  }
  made.move = post(exchange);
  gradientsMoves.push_back(std::move(made));
}

/// All but the latest: the next kernel writes where the earlier ones' sums came to, or lie still.
void Execution::finishGradients(int underWay) {
  for (; gradientsMoves.size() > size_t(underWay); gradientsMoves.pop_front()) {
    GradientsMove &oldest = gradientsMoves.front();
    wait(oldest.move);
    addHome(oldest);
  }
}

void Execution::addHome(const GradientsMove &over) {
  for (size_t i = 0; i < over.homecoming.size(); ++i) {
    int axis = gradientModels[i].keyAxis;
    std::vector<Tensor> sums = denseParts(over.home[i], axis);
    int64_t offset = 0;
    for (const Tensor &sum : sums) {
      kernels.add(Tensor(over.homecoming[i].dataAs<float>() + offset, DType::F32, sum.shape()),
                  sum);
      offset += sum.elementCount();
    }
  }
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
  exposed(move, [&] { move.transfer->wait(); });
  move.transfer.reset();
  trace.span(move.hop, move.kind, move.posted);
}

template <typename Wait> void Execution::exposed(const Move &move, Wait &&untilOver) {
  size_t mark = trace.mark();
  Clock::time_point start = Clock::now();
  untilOver();
  report.waiting += Clock::now() - start;
  trace.span(move.hop, SpanKind::Exposed, mark);
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
  std::optional<Execution> execution; // outlives the abort: what it lent comes back only then
  try {
    execution.emplace(plan, shard, kernels, transport, memory, trace);
    execution->begin();
    for (int step = 0; step < execution->steps(); ++step) {
      execution->post(step);
      execution->compute(step);
      execution->finish(step);
    }
    return execution->end();
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
