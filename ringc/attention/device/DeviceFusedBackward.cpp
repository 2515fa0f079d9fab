#include "ringc/attention/device/DeviceFusedBackward.h"

#include <array>

namespace ringc {

namespace {

/// What a GPU's sums of dq take: [batch, KV heads, packed rows, columns] (SumsBlock).
std::array<int64_t, 4> shapeOfSums(const Tensor &dq, const HeadsAndBatch &heads) {
  auto rounded = [](int64_t length, int64_t of) { return (length + of - 1) / of * of; };
  return {dq.dim(0), heads.kvHeads, rounded(dq.dim(1) * heads.groupSize, SumsBlock::rows),
          rounded(dq.dim(3), SumsBlock::columns)};
}

} // namespace

DeviceFusedBackwardKernels::DeviceFusedBackwardKernels(
    const RingKernelSetup &shared, const CudaStream &order, const DeviceElementwise &between,
    const DeviceBackwardCode &code, DeviceRoom &room, const Tensor &q, const Tensor &dout,
    const ForwardResults &from, const Tensor &dq)
    : StreamKernels(shared, order, between), gradient(dq),
      rows(BackwardRows::in(from, [&](auto of) { return room.tensor(DType::F32, of); })),
      sum(room.tensor(DType::F32, shapeOfSums(dq, shared.heads))), delta(code.delta, shared.heads),
      fused(code.keys, shared.heads), round(code.queries, shared.heads) {
  round.setExtent("Nq", setup.problem.queryRows());
  rows.setMaker(delta, setup, from, dout);
  rows.setReader(fused, setup, q, dout);
  fused.set("dq", ProgramTensor::sums(sum));
  round.set("sum", ProgramTensor::sums(sum));
  round.set("dq", ProgramTensor::rows(gradient));
  round.setScalar("scale", slotOf(setup.scale));
}

void DeviceFusedBackwardKernels::run(const HopBlock &block) {
  if (block.begins) {
    delta.run(stream);
    zero(sum);
  }
  setBlock(fused, setup, block);
  fused.set("dk", ProgramTensor::rows(block.gradients[0]));
  fused.set("dv", ProgramTensor::rows(block.gradients[1]));
  fused.run(stream);
}

void DeviceFusedBackwardKernels::runBesideGradients(const HopBlock &block) {
  if (block.ends)
    round.run(stream);
}

void DeviceFusedBackwardKernels::runNothing() { zero(gradient); }

} // namespace ringc
