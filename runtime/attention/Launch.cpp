#include "runtime/attention/Launch.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <stdexcept>
#include <string>
#include <utility>

namespace ringc {

namespace {

using Kind = KernelArgument::Kind;

/// Before the kernel's own slots: its entry, the first batch entry, where to count programs.
constexpr size_t headerWords = 3;

/// Runs a program with the batch entry counted in the whole batch, and counts it.
void enter(const uint64_t *words, int64_t p0, int64_t p1, int64_t head, int64_t batch,
           void *scratch) {
  auto kernel = std::bit_cast<HostKernel>(words[0]);
  auto *done = std::bit_cast<std::atomic<int64_t> *>(words[2]);
  kernel(words + headerWords, p0, p1, head, batch + int64_t(words[1]), scratch);
  if (done)
    done->fetch_add(1, std::memory_order_relaxed);
}

/// The address that the batch entry 0 would have, `bytes` being from entry to entry.
uint64_t rebased(const void *data, int64_t bytes, int64_t firstBatch) {
  return std::bit_cast<uint64_t>(data) - uint64_t(bytes) * uint64_t(firstBatch);
}

int64_t stepOf(const Tensor &tensor, int axis) {
  return tensor.dim(axis) == 1 ? 0 : tensor.stride(axis);
}

} // namespace

LaunchSlots::LaunchSlots(std::shared_ptr<const CompiledKernel> made,
                         const HeadsAndBatch &headsAndBatch, size_t header)
    : kernel(std::move(made)), heads(headsAndBatch), words(header + size_t(kernel->slotCount)),
      first(header), given(kernel->arguments.size()) {
  setExtent("B", heads.firstBatch + heads.batch);
  setExtent("H", heads.kvHeads * heads.groupSize);
  setExtent("Hkv", heads.kvHeads);
}

const KernelArgument *LaunchSlots::find(std::string_view name, Kind kind) const {
  for (const KernelArgument &argument : kernel->arguments)
    if (argument.kind == kind && argument.name == name)
      return &argument;
  return nullptr;
}

uint64_t *LaunchSlots::slotsOf(std::string_view name, Kind kind) {
  const KernelArgument *argument = find(name, kind);
  if (!argument)
    return nullptr;
  given[size_t(argument - kernel->arguments.data())] = true;
  return words.data() + first + size_t(argument->slot);
}

void LaunchSlots::set(std::string_view name, const ProgramTensor &program) {
  uint64_t *slots = slotsOf(name, Kind::View);
  if (!slots)
    return;
  const Tensor &tensor = program.tensor;
  int64_t headStep = tensor.stride(program.head), batchStep = tensor.stride(program.batch);
  bool blocked = heads.headMap == HeadMap::Blocked;
  slots[0] = rebased(tensor.data(), batchStep * int64_t(sizeOf(tensor.dtype())), heads.firstBatch);
  for (const ArgumentAxis &axis : find(name, Kind::View)->axes) {
    int64_t step;
    if (axis.name == "B")
      step = batchStep;
    else if (axis.name == "Hkv") // of K and V the heads themselves
      step = tensor.dim(program.head) == heads.kvHeads || !blocked ? headStep
                                                                   : heads.groupSize * headStep;
    else if (axis.name == "G")
      step = blocked ? headStep : heads.kvHeads * headStep;
    else if (axis.name == "Nq" || axis.name == "Nk")
      step = tensor.stride(program.row);
    else
      step = program.column < 0 ? 1 : tensor.stride(program.column);
    *++slots = uint64_t(step);
  }
}

void LaunchSlots::set(std::string_view name, const Tensor &tensor) {
  uint64_t *slots = slotsOf(name, Kind::View);
  if (!slots)
    return;
  const std::vector<ArgumentAxis> &axes = find(name, Kind::View)->axes;
  int64_t batchStep = 0;
  for (int axis = 0; axis < tensor.rank(); ++axis) {
    slots[1 + axis] = uint64_t(stepOf(tensor, axis));
    if (axes[size_t(axis)].name == "B")
      batchStep = stepOf(tensor, axis);
  }
  slots[0] = rebased(tensor.data(), batchStep * int64_t(sizeOf(tensor.dtype())), heads.firstBatch);
}

void LaunchSlots::set(std::string_view name, const Positions &positions) {
  if (uint64_t *slots = slotsOf(name, Kind::Positions)) {
    slots[0] = uint64_t(positions.first);
    slots[1] = uint64_t(positions.block);
    slots[2] = uint64_t(positions.jump);
  }
}

void LaunchSlots::setScalar(std::string_view name, uint64_t slot) {
  if (uint64_t *slots = slotsOf(name, Kind::Scalar))
    slots[0] = slot;
}

void LaunchSlots::setExtent(std::string_view name, int64_t extent) {
  if (uint64_t *slots = slotsOf(name, Kind::Extent))
    slots[0] = uint64_t(extent);
}

void LaunchSlots::setCarry(std::string_view name, void *state, bool begins, bool ends) {
  if (uint64_t *slots = slotsOf(name, Kind::Carry)) {
    int64_t bytes = kernel->carryBytes * programsAlongRows() * heads.kvHeads;
    slots[0] = rebased(state, bytes, heads.firstBatch);
    slots[1] = (begins ? 1 : 0) | (ends ? 2 : 0);
  }
}

int64_t LaunchSlots::extent(std::string_view name) const {
  if (const KernelArgument *argument = find(name, Kind::Extent))
    return int64_t(words[first + size_t(argument->slot)]);
  int64_t number = 0;
  std::from_chars(name.data(), name.data() + name.size(), number);
  return number;
}

int64_t LaunchSlots::programsAlongRows() const {
  const GridAxis &axis = kernel->grid.at(0);
  int64_t rows = extent(axis.extent);
  if (axis.extent == "Nq")
    rows *= heads.groupSize;
  return (rows + axis.step - 1) / axis.step;
}

void LaunchSlots::checkComplete() const {
  for (size_t index = 0; index < given.size(); ++index)
    if (!given[index])
      throw std::logic_error("kernel " + kernel->name + ": no value for the argument " +
                             kernel->arguments[index].name);
}

Launch::Launch(HostCode made, const HeadsAndBatch &headsAndBatch, LaunchProgress *progress)
    : LaunchSlots(made.kernel, headsAndBatch, headerWords), code(std::move(made)) {
  words[0] = std::bit_cast<uint64_t>(code.entry);
  words[1] = uint64_t(heads.firstBatch);
  words[2] = progress ? std::bit_cast<uint64_t>(&progress->done) : 0;
}

void Launch::defer() {
  checkComplete();
  deferred = words;
}

void Launch::run(HostPool &pool, HostLaunch::Order order) {
  checkComplete();
  bool both = !deferred.empty();
  pool.run({.kernel = enter,
            .slots = both ? deferred : words,
            .slotsAfter = both ? std::span<const uint64_t>(words) : std::span<const uint64_t>(),
            .grid = {programsAlongRows(), 1, heads.kvHeads, heads.batch},
            .scratchBytes = size_t(kernel->scratchBytes),
            .order = order,
            .rows = kernel->serialAxis0 ? HostLaunch::Rows::Serial : HostLaunch::Rows::Parallel});
  deferred.clear();
}

} // namespace ringc
