#include "runtime/attention/FusedBackward.h"

#include <array>

namespace ringc {

namespace {

/// Memory for the sum, by heads: what programs of a head add to, one after another, then fills a
/// cache's sets evenly. Rows of all heads side by side lie so far apart that those of one head
/// share an eighth of the sets.
Tensor sumByHeads(KeptMemory &memory, const Tensor &dq) {
  return memory.tensor(DType::F32, std::array{dq.dim(0), dq.dim(2), dq.dim(1), dq.dim(3)});
}

} // namespace

FusedBackwardKernels::FusedBackwardKernels(const RingKernelSetup &shared, const BackwardCode &code,
                                           KeptMemory &memory, const Tensor &q, const Tensor &dout,
                                           const ForwardResults &from, const Tensor &dq)
    : PoolKernels(shared), gradient(dq), deltas(DType::F32, from.lse.shape()),
      byHeads(sumByHeads(memory, dq)), sum(byHeads.permute({0, 2, 1, 3})),
      delta(code.delta, shared.heads, shared.context.progress.get()),
      fused(code.keys, shared.heads, shared.context.progress.get()),
      round(code.queries, shared.heads, shared.context.progress.get()) {
  for (Launch *launch : {&delta, &round})
    launch->setExtent("Nq", setup.problem.queryRows());
  delta.set("out", ProgramTensor::rows(from.out));
  delta.set("dout", ProgramTensor::rows(dout));
  delta.set("delta", ProgramTensor::numbers(deltas));
  setCommon(fused, setup);
  fused.set("q", ProgramTensor::rows(q));
  fused.set("dout", ProgramTensor::rows(dout));
  fused.set("lse", ProgramTensor::numbers(from.lse));
  fused.set("delta", ProgramTensor::numbers(deltas));
  fused.set("dq", ProgramTensor::rows(sum));
  round.set("sum", ProgramTensor::rows(sum));
  round.set("dq", ProgramTensor::rows(gradient));
  round.setScalar("scale", slotOf(setup.scale));
  if (LaunchProgress *progress = setup.context.progress.get();
      progress && setup.plan.firstComputed()) {
    progress->planned += delta.programs() + round.programs();
    for (const Step &step : setup.plan.steps)
      if (step.computes()) {
        fused.setExtent("Nk", step.rows);
        progress->planned += fused.programs();
      }
  }
}

void FusedBackwardKernels::run(const HopBlock &block) {
  if (block.begins) {
    delta.run(pool(), HostLaunch::Order::Rising);
    zero(byHeads);
  }
  setBlock(fused, setup, block);
  setGradients(fused, block);
  fused.run(pool(), HostLaunch::Order::Rising);
  if (block.ends)
    round.run(pool(), HostLaunch::Order::Rising);
}

void FusedBackwardKernels::runNothing() { fill(gradient, 0); }

} // namespace ringc
