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

/// One pass of one rank.
class Execution {
public:
  Execution(const Plan &ownPlan, const RankShard &shard, HopKernels &hopKernels,
            Transport &ownTransport, HopMemory &hopMemory)
      : plan(ownPlan), kernels(hopKernels), transport(ownTransport), memory(hopMemory),
        keyModels(shard.keys), ownKeys(tensorsOf(shard.keys)) {
    if (plan.pass == Pass::Backward) {
      gradientModels = shard.gradients;
      ownGradients = tensorsOf(shard.gradients);
    }
  }

  ExecutionReport run() {
    int64_t sentBefore = transport.sentBytes(), receivedBefore = transport.receivedBytes();
    memory.reserve(plan, keyModels, gradientModels);
    report.hopBufferBytes = memory.bytes();
    zero(ownGradients);
    for (const Step &step : plan.steps)
      run(step);
    finishGradients();
    if (!plan.firstComputed())
      kernels.runNothing();
    report.sentBytes = transport.sentBytes() - sentBefore;
    report.receivedBytes = transport.receivedBytes() - receivedBefore;
    return report;
  }

private:
  void run(const Step &step) {
    std::vector<Tensor> resident = residentKeys(step);
    gatherToSend(step, resident);
    std::unique_ptr<Transfer> keysMove;
    bool earlierStays = step.step > 0 && stays(plan.steps[size_t(step.step) - 1]);
    if (!earlierStays)
      keysMove = postKeys(step, resident);
    finishGradients();
    if (step.computes())
      compute(step, resident);
    if (earlierStays) // the next keys come where it lay
      keysMove = postKeys(step, resident);
    postGradients(step);
    wait(keysMove);
  }

  /// Nothing where the plan saw that nobody here or further on needs them.
  std::vector<Tensor> residentKeys(const Step &step) const {
    if (step.step == 0)
      return ownKeys;
    bool came = plan.steps[size_t(step.step) - 1].keysFrom.has_value();
    return came ? keysAt(step) : std::vector<Tensor>();
  }

  std::vector<Tensor> keysAt(const Step &step) const {
    return memory.keys[step.step % 2].views(keyModels, step.rows);
  }

  /// Where this rank sums gradients for the owner of the step's keys.
  std::vector<Tensor> gradientsAt(const Step &step) const {
    return step.step == 0 ? ownGradients
                          : memory.gradients[step.step % 2].views(gradientModels, step.rows);
  }

  /// Where a transfer hides behind no kernel anyway, both hop buffers are filled before the kernels
  /// run: half the launches, each with twice the work on what it loads.
  bool stays(const Step &step) const {
    return !transport.movesBesideKernels() && step.step % 2 == 0 && step.computes() &&
           size_t(step.step) + 1 < plan.steps.size() && after(step).computes();
  }

  const Step &after(const Step &step) const { return plan.steps[size_t(step.step) + 1]; }

  /// What is sent lies without gaps, and is used from there too.
  void gatherToSend(const Step &step, std::span<Tensor> resident) {
    std::vector<Tensor> gathered;
    for (size_t i = 0; i < resident.size() && step.keysTo; ++i)
      if (!resident[i].isContiguous()) { // only own keys can be
        if (gathered.empty())
          gathered = keysAt(step);
        kernels.copy(resident[i], gathered[i]);
        resident[i] = gathered[i];
      }
  }

  std::unique_ptr<Transfer> postKeys(const Step &step, std::span<const Tensor> resident) {
    Exchange exchange{.hop = step.step, .channel = Channel::Keys, .sends = {}, .receives = {}};
    if (step.keysTo)
      for (const Tensor &from : resident)
        exchange.sends.push_back({*step.keysTo, bytesOf(from)});
    if (step.keysFrom)
      for (const Tensor &to : keysAt(after(step)))
        exchange.receives.push_back({*step.keysFrom, bytesOf(to)});
    return post(exchange);
  }

  void postGradients(const Step &step) {
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
  void finishGradients() {
    wait(gradientsMove);
    for (size_t i = 0; i < homecoming.size(); ++i)
      kernels.add(homecoming[i], ownGradients[i]);
    homecoming.clear();
  }

  void compute(const Step &step, std::span<const Tensor> resident) {
    std::vector<Tensor> gradients;
    if (plan.pass == Pass::Backward) {
      gradients = gradientsAt(step);
      if (step.step > 0 && !gradientsCame)
        zero(gradients);
    }
    Clock::time_point start = Clock::now();
    kernels.run({.step = step.step,
                 .owner = step.owner,
                 .rows = step.rows,
                 .visibility = step.visibility,
                 .begins = step.step == plan.firstComputed(),
                 .ends = step.step == plan.lastComputed(),
                 .stays = stays(step),
                 .keys = resident,
                 .gradients = gradients});
    report.computing += Clock::now() - start;
    ++report.computedSteps;
  }

  void zero(std::span<const Tensor> tensors) {
    for (const Tensor &tensor : tensors)
      if (!tensor.empty())
        kernels.zero(tensor);
  }

  std::unique_ptr<Transfer> post(const Exchange &exchange) {
    return exchange.empty() ? nullptr : transport.post(exchange);
  }

  void wait(std::unique_ptr<Transfer> &transfer) {
    if (!transfer)
      return;
    Clock::time_point start = Clock::now();
    transfer->wait();
    transfer.reset();
    report.waiting += Clock::now() - start;
  }

  const Plan &plan;
  HopKernels &kernels;
  Transport &transport;
  HopMemory &memory;
  std::span<const KeyIndexed> keyModels, gradientModels;
  std::vector<Tensor> ownKeys, ownGradients;
  std::vector<Tensor> homecoming; ///< what the gradients under way bring home
  std::unique_ptr<Transfer> gradientsMove;
  bool gradientsCame = false; ///< whether the step to come continues a sum
  ExecutionReport report;
};

} // namespace

void HopKernels::zero(const Tensor &tensor) {
  std::memset(tensor.data(), 0, size_t(tensor.byteCount()));
}

void HopKernels::add(const Tensor &part, const Tensor &sum) {
  const float *from = part.dataAs<float>();
  float *to = sum.dataAs<float>();
  for (int64_t i = 0, count = sum.elementCount(); i < count; ++i)
    to[i] += from[i];
}

void HopKernels::copy(const Tensor &from, const Tensor &to) { ringc::copy(from, to); }

ExecutionReport execute(const Plan &plan, const RankShard &shard, HopKernels &kernels,
                        Transport &transport, HopMemory &memory) {
  try {
    check(plan, shard, transport);
    return Execution(plan, shard, kernels, transport, memory).run();
  } catch (const std::exception &error) {
    transport.abort(error.what());
    throw;
  } catch (...) {
    transport.abort("unknown error");
    throw;
  }
}

} // namespace ringc
