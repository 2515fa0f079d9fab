#include "ringc/attention/host/HostKernels.h"

#include <array>
#include <limits>
#include <utility>

namespace ringc {

namespace {

/// The programs of one launch for each computed step.
void announce(const RingKernelSetup &setup, Launch &launch) {
  if (!setup.context.progress)
    return;
  for (const Step &step : setup.plan.steps)
    if (step.computes()) {
      launch.setExtent("Nk", step.rows);
      setup.context.progress->planned += launch.programs();
    }
}

} // namespace

void fill(const Tensor &tensor, float value) {
  std::array<int64_t, Tensor::maxRank> expanded{};
  convert(
      Tensor(&value, DType::F32, tensor.shape(), std::span(expanded).first(tensor.shape().size())),
      tensor);
}

void PoolKernels::setGradients(Launch &launch, const HopBlock &block) const {
  for (auto [i, name] : {std::pair(0, "dk"), std::pair(1, "dv")})
    launch.set(name,
               ProgramTensor::rows(rowsOfKeys(block.gradients[size_t(i)], setup.gradientKeyAxis)));
}

void PoolKernels::zero(const Tensor &tensor) { ringc::zero(pool(), tensor); }
void PoolKernels::add(const Tensor &part, const Tensor &sum) { ringc::add(pool(), part, sum); }
void PoolKernels::copy(const Tensor &from, const Tensor &to) { ringc::copy(pool(), from, to); }

Tensor madeIn(std::list<HostTensor> &memory, std::span<const int64_t> shape) {
  return memory.emplace_back(DType::F32, std::vector(shape.begin(), shape.end()));
}

ForwardKernels::ForwardKernels(const RingKernelSetup &shared, HostCode code, KeptMemory &memory,
                               const Tensor &q, const ForwardResults &to)
    : PoolKernels(shared), results(to),
      forward(std::move(code), shared.heads, shared.context.progress.get(), &memory) {
  setCommon(forward, setup);
  forward.set("q", ProgramTensor::rows(q));
  setResults(forward, results, [this](auto shape) { return madeIn(unasked, shape); });
  announce(setup, forward);
}

void ForwardKernels::run(const HopBlock &block) {
  setBlock(forward, setup, block);
  forward.setCarry(block.begins, block.ends);
  if (block.stays)
    forward.defer();
  else
    forward.run(pool(), setup.rowOrder);
}

void ForwardKernels::runNothing() {
  fill(results.out, 0);
  constexpr float nothing = -std::numeric_limits<float>::infinity();
  fill(results.lse, nothing);
  if (results.rowMax)
    fill(*results.rowMax, nothing);
  if (results.rowSum)
    fill(*results.rowSum, 0);
}

BackwardKernels::BackwardKernels(const RingKernelSetup &shared, const BackwardCode &code,
                                 KeptMemory &state, const Tensor &q, const Tensor &dout,
                                 const ForwardResults &from, const Tensor &dq)
    : PoolKernels(shared), gradient(dq),
      rows(BackwardRows::in(from, [this](auto shape) { return madeIn(memory, shape); })),
      delta(code.delta, shared.heads, shared.context.progress.get()),
      keys(code.keys, shared.heads, shared.context.progress.get()),
      queries(code.queries, shared.heads, shared.context.progress.get(), &state) {
  rows.setMaker(delta, setup, from, dout);
  for (Launch *launch : {&keys, &queries})
    rows.setReader(*launch, setup, q, dout);
  queries.set("dq", ProgramTensor::rows(gradient));
  announce(setup, queries);
  announce(setup, keys);
  if (setup.context.progress && setup.plan.firstComputed())
    setup.context.progress->planned += delta.programs();
}

void BackwardKernels::run(const HopBlock &block) {
  if (block.begins)
    delta.run(pool(), HostLaunch::Order::Rising);
  setBlock(keys, setup, block);
  setGradients(keys, block);
  keys.run(pool(), HostLaunch::Order::Rising);
  setBlock(queries, setup, block);
  queries.setCarry(block.begins, block.ends);
  if (block.stays)
    queries.defer();
  else
    queries.run(pool(), setup.rowOrder);
}

void BackwardKernels::runNothing() { fill(gradient, 0); }

} // namespace ringc
