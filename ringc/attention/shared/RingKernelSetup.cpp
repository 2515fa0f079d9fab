#include "ringc/attention/shared/RingKernelSetup.h"

namespace ringc {

void setCommon(LaunchSlots &launch, const RingKernelSetup &setup) {
  launch.setExtent("Nq", setup.problem.queryRows());
  launch.set("qpos", setup.problem.queryPositions());
  launch.setScalar("scale", slotOf(setup.scale));
  for (const auto &[name, value] : setup.parameters.scalars)
    launch.setScalar(name, slotOf(value));
  for (const auto &[name, extent] : setup.parameters.extents)
    launch.setExtent(name, extent);
  for (const Parameters::View &view : setup.parameters.views)
    if (!view.keyAxis)
      launch.set(view.name, view.tensor);
}

void setBlock(LaunchSlots &launch, const RingKernelSetup &setup, const HopBlock &block) {
  launch.setExtent("Nk", block.rows);
  launch.set("kpos",
             positionsOf(setup.problem.keyPositions(block.owner), {block.firstRow, block.rows}));
  launch.set("k", ProgramTensor::rows(block.keys[0]));
  launch.set("v", ProgramTensor::rows(block.keys[1]));
  size_t next = 2;
  for (const Parameters::View &view : setup.parameters.views)
    if (view.keyAxis)
      launch.set(view.name, block.keys[next++]);
}

Tensor exchangeRowsAndHeads(const Tensor &tensor) { return tensor.permute({0, 2, 1, 3}); }

Tensor rowsOfKeys(const Tensor &gradient, int keyAxis) {
  return keyAxis == 1 ? gradient : exchangeRowsAndHeads(gradient);
}

void BackwardRows::setMaker(LaunchSlots &launch, const RingKernelSetup &setup,
                            const ForwardResults &from, const Tensor &dout) const {
  bool exact = from.rowMax && from.rowSum;
  launch.setExtent("Nq", setup.problem.queryRows());
  launch.set("out", ProgramTensor::rows(from.out));
  launch.set("dout", ProgramTensor::rows(dout));
  launch.set("lse", ProgramTensor::numbers(from.lse));
  launch.set("row_max", ProgramTensor::numbers(exact ? *from.rowMax : from.lse));
  launch.set("row_sum", ProgramTensor::numbers(exact ? *from.rowSum : from.lse));
  launch.setScalar("exact", exact);
  launch.set("delta", ProgramTensor::numbers(delta));
  launch.set("base", ProgramTensor::numbers(base));
  launch.set("shift", ProgramTensor::numbers(shift));
}

void BackwardRows::setReader(LaunchSlots &launch, const RingKernelSetup &setup, const Tensor &q,
                             const Tensor &dout) const {
  setCommon(launch, setup);
  launch.set("q", ProgramTensor::rows(q));
  launch.set("dout", ProgramTensor::rows(dout));
  launch.set("delta", ProgramTensor::numbers(delta));
  launch.set("base", ProgramTensor::numbers(base));
  launch.set("shift", ProgramTensor::numbers(shift));
}

} // namespace ringc
