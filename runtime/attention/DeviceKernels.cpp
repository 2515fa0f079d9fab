#include "runtime/attention/DeviceKernels.h"

#include <array>
#include <cassert>
#include <utility>

namespace ringc {

namespace {

constexpr int64_t addThreads = 256;
constexpr const char *addName = "ringc_add_f32";

/// Its slots: sum, part, number of elements. One element a thread: it is bound by memory.
constexpr const char *addPtx = R"(
.version 8.0
.target sm_80
.address_size 64
.visible .entry ringc_add_f32(.param .align 8 .b8 slots[24])
.reqntid 256, 1, 1
{
  .reg .pred %p;
  .reg .b32 %block, %thread;
  .reg .f32 %x, %y;
  .reg .b64 %sum, %part, %count, %i, %t;
  ld.param.u64 %sum, [slots];
  ld.param.u64 %part, [slots+8];
  ld.param.u64 %count, [slots+16];
  mov.u32 %block, %ctaid.x;
  mov.u32 %thread, %tid.x;
  mul.wide.u32 %i, %block, 256;
  cvt.u64.u32 %t, %thread;
  add.u64 %i, %i, %t;
  setp.ge.u64 %p, %i, %count;
  @%p ret;
  shl.b64 %i, %i, 2;
  cvta.to.global.u64 %sum, %sum;
  cvta.to.global.u64 %part, %part;
  add.u64 %sum, %sum, %i;
  add.u64 %part, %part, %i;
  ld.global.f32 %x, [%sum];
  ld.global.f32 %y, [%part];
  add.f32 %x, %x, %y;
  st.global.f32 [%sum], %x;
  ret;
}
)";

/// None where one hop does it all.
DeviceMemory stateFor(const DeviceLaunch &launch, const Plan &plan, const CudaStream &stream) {
  if (plan.firstComputed() == plan.lastComputed())
    return {};
  return DeviceMemory(stream.device(), launch.carryBytes());
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
    : LaunchSlots(made.kernel, headsAndBatch, 0), code(std::move(made)) {
  assert(headsAndBatch.firstBatch == 0);
}

void DeviceLaunch::run(const CudaStream &stream) const {
  checkComplete();
  code.function.launch(stream,
                       {.blocks = {programsAlongRows(), heads.kvHeads, heads.batch},
                        .threads = kernel->threads,
                        .sharedBytes = kernel->sharedBytes},
                       words);
}

DeviceAdd::DeviceAdd(std::shared_ptr<const CudaDevice> device)
    : module(std::make_shared<const CudaModule>(std::move(device), addPtx, addName)),
      function(module->function(addName)) {}

void DeviceAdd::run(const CudaStream &stream, const Tensor &part, const Tensor &sum) const {
  assert(part.isContiguous() && sum.isContiguous());
  std::array<uint64_t, 3> slots = {cudaAddress(sum.data()), cudaAddress(part.data()),
                                   uint64_t(sum.elementCount())};
  function.launch(
      stream,
      {.blocks = {(sum.elementCount() + addThreads - 1) / addThreads, 1, 1}, .threads = addThreads},
      slots);
}

void StreamKernels::zero(const Tensor &tensor) { stream.clear(tensor.data(), tensor.byteCount()); }
void StreamKernels::add(const Tensor &part, const Tensor &sum) { adder.run(stream, part, sum); }
void StreamKernels::copy(const Tensor &from, const Tensor &to) {
  assert(from.isContiguous() && to.isContiguous() && from.byteCount() == to.byteCount());
  stream.copy(to.data(), from.data(), from.byteCount());
}

DeviceForwardKernels::DeviceForwardKernels(const RingKernelSetup &shared, const CudaStream &order,
                                           const DeviceAdd &adding, const DeviceCode &code,
                                           const Tensor &q, const ForwardResults &to)
    : StreamKernels(shared, order, adding), results(to), forward(code, shared.heads) {
  setCommon(forward, setup);
  forward.set("q", ProgramTensor::rows(q));
  forward.set("out", ProgramTensor::rows(results.out));
  forward.set("lse", ProgramTensor::numbers(results.lse));
  state = stateFor(forward, setup.plan, stream);
}

void DeviceForwardKernels::run(const HopBlock &block) {
  setBlock(forward, setup, block);
  forward.setCarry("state", state.data(), block.begins, block.ends);
  forward.run(stream);
}

void DeviceForwardKernels::runNothing() {
  constexpr uint32_t minusInfinity = 0xff800000;
  zero(results.out);
  stream.fill(results.lse.data(), minusInfinity, results.lse.elementCount());
}

DeviceBackwardKernels::DeviceBackwardKernels(const RingKernelSetup &shared, const CudaStream &order,
                                             const DeviceAdd &adding,
                                             const DeviceBackwardCode &code, const Tensor &q,
                                             const Tensor &dout, const ForwardResults &from,
                                             const Tensor &dq)
    : StreamKernels(shared, order, adding), gradient(dq),
      deltas(order.device(), DType::F32, from.lse.shape()), delta(code.delta, shared.heads),
      keys(code.keys, shared.heads), queries(code.queries, shared.heads) {
  delta.setExtent("Nq", setup.problem.queryRows());
  delta.set("out", ProgramTensor::rows(from.out));
  delta.set("dout", ProgramTensor::rows(dout));
  delta.set("delta", ProgramTensor::numbers(deltas));
  for (DeviceLaunch *launch : {&keys, &queries}) {
    setCommon(*launch, setup);
    launch->set("q", ProgramTensor::rows(q));
    launch->set("dout", ProgramTensor::rows(dout));
    launch->set("lse", ProgramTensor::numbers(from.lse));
    launch->set("delta", ProgramTensor::numbers(deltas));
  }
  queries.set("dq", ProgramTensor::rows(gradient));
  state = stateFor(queries, setup.plan, stream);
}

void DeviceBackwardKernels::run(const HopBlock &block) {
  if (block.begins)
    delta.run(stream);
  setBlock(keys, setup, block);
  keys.set("dk", ProgramTensor::rows(block.gradients[0]));
  keys.set("dv", ProgramTensor::rows(block.gradients[1]));
  keys.run(stream);
  setBlock(queries, setup, block);
  queries.setCarry("state", state.data(), block.begins, block.ends);
  queries.run(stream);
}

void DeviceBackwardKernels::runNothing() { zero(gradient); }

} // namespace ringc
