#include "ringc/attention/device/DeviceKernels.h"

#include "ringc/attention/device/StreamTraceClock.h"

#include <utility>

namespace ringc {

namespace {

/// Null where one hop does it all.
void *stateFor(const DeviceLaunch &launch, const Plan &plan, DeviceRoom &room) {
  return plan.firstComputed() == plan.lastComputed() ? nullptr : room.take(launch.carryBytes());
}

} // namespace

DeviceCode DeviceCode::load(std::shared_ptr<const CudaDevice> device,
                            std::shared_ptr<const CompiledKernel> kernel) {
  auto module = std::make_shared<const CudaModule>(std::move(device), kernel->code, kernel->name);
  CudaFunction function = module->function(kernel->entry);
  function.checkSlots(kernel->slotCount);
  constexpr int64_t withoutAsking = 48 << 10;
  if (kernel->sharedBytes > withoutAsking)
    function.allowSharedBytes(kernel->sharedBytes);
  return {std::move(kernel), std::move(module), std::move(function)};
}

DeviceLaunch::DeviceLaunch(DeviceCode made, const HeadsAndBatch &headsAndBatch)
    : LaunchSlots(made.kernel, headsAndBatch), code(std::move(made)) {}

CudaGrid DeviceLaunch::blocks() const {
  auto [p0, p1, kvHeads, batch] = grid();
  return {.blocks = kernel->blocks(p0, p1, kvHeads, batch),
          .threads = kernel->threads,
          .sharedBytes = kernel->sharedBytes};
}

void DeviceLaunch::run(const CudaStream &stream) const {
  checkComplete();
  code.function.launch(stream, blocks(), words);
}

void StreamKernels::zero(const Tensor &tensor) { clearOnDevice(stream, tensor); }
void StreamKernels::add(const Tensor &part, const Tensor &sum) {
  elementwise.add(stream, part, sum);
}
std::unique_ptr<TraceClock> StreamKernels::traceClock() {
  return std::make_unique<StreamTraceClock>(stream);
}
void StreamKernels::copy(const Tensor &from, const Tensor &to) { copyOnDevice(stream, from, to); }

DeviceForwardKernels::DeviceForwardKernels(const RingKernelSetup &shared, const CudaStream &order,
                                           const DeviceElementwise &between, const DeviceCode &code,
                                           DeviceRoom &room, const Tensor &q,
                                           const ForwardResults &to)
    : StreamKernels(shared, order, between), results(to), forward(code, shared.heads) {
  setCommon(forward, setup);
  forward.set("q", ProgramTensor::rows(q));
  setResults(forward, results, [&](auto shape) { return room.tensor(DType::F32, shape); });
  state = stateFor(forward, setup.plan, room);
}

void DeviceForwardKernels::run(const HopBlock &block) {
  setBlock(forward, setup, block);
  forward.setCarry("state", state, block.begins, block.ends);
  forward.run(stream);
}

void DeviceForwardKernels::runNothing() {
  constexpr uint32_t minusInfinity = 0xff800000;
  zero(results.out);
  fillOnDevice(stream, results.lse, minusInfinity);
  if (results.rowMax)
    fillOnDevice(stream, *results.rowMax, minusInfinity);
  if (results.rowSum)
    zero(*results.rowSum);
}

DeviceBackwardKernels::DeviceBackwardKernels(const RingKernelSetup &shared, const CudaStream &order,
                                             const DeviceElementwise &between,
                                             const DeviceBackwardCode &code, DeviceRoom &room,
                                             const Tensor &q, const Tensor &dout,
                                             const ForwardResults &from, const Tensor &dq)
    : StreamKernels(shared, order, between), gradient(dq),
      rows(BackwardRows::in(from, [&](auto shape) { return room.tensor(DType::F32, shape); })),
      delta(code.delta, shared.heads), keys(code.keys, shared.heads),
      queries(code.queries, shared.heads) {
  rows.setMaker(delta, setup, from, dout);
  for (DeviceLaunch *launch : {&keys, &queries})
    rows.setReader(*launch, setup, q, dout);
  queries.set("dq", ProgramTensor::rows(gradient));
  state = stateFor(queries, setup.plan, room);
}

void DeviceBackwardKernels::run(const HopBlock &block) {
  if (block.begins)
    delta.run(stream);
  setBlock(keys, setup, block);
  keys.set("dk", ProgramTensor::rows(block.gradients[0]));
  keys.set("dv", ProgramTensor::rows(block.gradients[1]));
  keys.run(stream);
}

void DeviceBackwardKernels::runBesideGradients(const HopBlock &block) {
  setBlock(queries, setup, block);
  queries.setCarry("state", state, block.begins, block.ends);
  queries.run(stream);
}

void DeviceBackwardKernels::runNothing() { zero(gradient); }

} // namespace ringc
