#include "ringc/attention/host/FusedBackward.h"

namespace ringc {

FusedBackwardKernels::FusedBackwardKernels(const RingKernelSetup &shared, const BackwardCode &code,
                                           KeptMemory &sums, const Tensor &q, const Tensor &dout,
                                           const ForwardResults &from, const Tensor &dq)
    : PoolKernels(shared), gradient(dq),
      rows(BackwardRows::in(from, [this](auto shape) { return madeIn(memory, shape); })),
      byHeads(sums.tensor(DType::F32, exchangeRowsAndHeads(dq).shape())),
      sum(exchangeRowsAndHeads(byHeads)),
      delta(code.delta, shared.heads, shared.context.progress.get()),
      fused(code.keys, shared.heads, shared.context.progress.get()),
      round(code.queries, shared.heads, shared.context.progress.get()) {
  round.setExtent("Nq", setup.problem.queryRows());
  rows.setMaker(delta, setup, from, dout);
  rows.setReader(fused, setup, q, dout);
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
