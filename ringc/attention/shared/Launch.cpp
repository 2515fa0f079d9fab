#include "ringc/attention/shared/Launch.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>

namespace ringc {

namespace {

using Kind = KernelArgument::Kind;

/// The bits of a carry's second slot.
constexpr uint64_t beginsBit = 1, endsBit = 2;

constexpr size_t lineBytes = 64;
size_t wholeLines(size_t bytes) { return (bytes + lineBytes - 1) / lineBytes * lineBytes; }

/// What the programs of a launch share.
struct Programs {
  const CompiledKernel &kernel;
  HostKernel entry;
  std::span<const std::vector<uint64_t>> blocks; ///< slots of each
  int64_t firstBatch;
  std::array<int64_t, 4> grid;
  std::atomic<int64_t> *done;
  std::optional<size_t> ownState; ///< the carry's slot, where each program's state is its thread's

  /// Of one thread: the kernel's, then its state and the slots that say where it is.
  size_t stateOffset() const { return wholeLines(size_t(kernel.scratchBytes)); }
  size_t slotsOffset() const { return stateOffset() + wholeLines(size_t(kernel.carryBytes)); }
  size_t scratchBytes() const {
    return ownState ? slotsOffset() + size_t(kernel.slotCount) * sizeof(uint64_t)
                    : size_t(kernel.scratchBytes);
  }

  /// Batch entries are counted in the whole batch.
  void run(int64_t p0, int64_t p1, int64_t head, int64_t entryOfRank, std::byte *scratch) const {
    int64_t batch = entryOfRank + firstBatch;
    int64_t program = p0 + grid[0] * (p1 + grid[1] * (head + grid[2] * batch));
    for (const std::vector<uint64_t> &block : blocks) {
      const uint64_t *slots = block.data();
      if (ownState) {
        auto *own = reinterpret_cast<uint64_t *>(scratch + slotsOffset());
        std::ranges::copy(block, own);
        own[*ownState] = std::bit_cast<uint64_t>(scratch + stateOffset()) -
                         uint64_t(program) * uint64_t(kernel.carryBytes);
        slots = own;
      }
      entry(slots, p0, p1, head, batch, scratch);
    }
    if (done)
      done->fetch_add(int64_t(blocks.size()), std::memory_order_relaxed);
  }
};

void enter(const uint64_t *programs, int64_t p0, int64_t p1, int64_t head, int64_t batch,
           void *scratch) {
  std::bit_cast<const Programs *>(programs[0])
      ->run(p0, p1, head, batch, static_cast<std::byte *>(scratch));
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
                         const HeadsAndBatch &headsAndBatch)
    : kernel(std::move(made)), heads(headsAndBatch), words(size_t(kernel->slotCount)),
      given(kernel->arguments.size()) {
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
  return words.data() + size_t(argument->slot);
}

void LaunchSlots::set(std::string_view name, const ProgramTensor &program) {
  uint64_t *slots = slotsOf(name, Kind::View);
  if (!slots)
    return;
  const Tensor &tensor = program.tensor;
  int64_t headStep = tensor.stride(program.head), batchStep = tensor.stride(program.batch);
  bool blocked = heads.headMap == HeadMap::Blocked;
  slots[0] = rebased(tensor.data(), batchStep * int64_t(sizeOf(tensor.dtype())), heads.firstBatch);
  bool afterRows = false;
  int leading = 0;
  for (const ArgumentAxis &axis : find(name, Kind::View)->axes) {
    int64_t step;
    if (afterRows)
      step = program.column < 0 ? 1 : tensor.stride(program.column);
    else if (axis.name == "B")
      step = batchStep;
    else if (axis.name == "Hkv") // of K and V the heads themselves
      step = tensor.dim(program.head) == heads.kvHeads || !blocked ? headStep
                                                                   : heads.groupSize * headStep;
    else if (axis.name == "G")
      step = program.packed ? tensor.stride(program.row)
             : blocked      ? headStep
                            : heads.kvHeads * headStep;
    else if (leading < program.leading)
      step = tensor.stride(leading++);
    else
      step =
          tensor.stride(program.row) * (axis.name == "Nq" && program.packed ? heads.groupSize : 1);
    afterRows = axis.name == "Nq" || axis.name == "Nk";
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
    slots[0] = carryBase(state);
    slots[1] = (begins ? beginsBit : 0) | (ends ? endsBit : 0);
  }
}

uint64_t LaunchSlots::carryBase(void *state) const {
  auto [p0, p1, kvHeads, batch] = grid();
  return rebased(state, kernel->carryBytes * p0 * p1 * kvHeads, heads.firstBatch);
}

int64_t LaunchSlots::extent(std::string_view name) const {
  if (const KernelArgument *argument = find(name, Kind::Extent))
    return int64_t(words[size_t(argument->slot)]);
  int64_t number = 0;
  std::from_chars(name.data(), name.data() + name.size(), number);
  return number;
}

int64_t LaunchSlots::programsAlong(size_t index) const {
  if (index >= kernel->grid.size())
    return 1;
  const GridAxis &axis = kernel->grid[index];
  int64_t rows = extent(axis.extent);
  if (axis.extent == "Nq")
    rows *= heads.groupSize;
  return (rows + axis.step - 1) / axis.step;
}

std::array<int64_t, 4> LaunchSlots::grid() const {
  return {programsAlong(0), programsAlong(1), heads.kvHeads, heads.batch};
}

int64_t LaunchSlots::programs() const {
  auto [p0, p1, kvHeads, batch] = grid();
  return p0 * p1 * kvHeads * batch;
}

void LaunchSlots::checkComplete() const {
  for (size_t index = 0; index < given.size(); ++index)
    if (!given[index])
      throw std::logic_error("kernel " + kernel->name + ": no value for the argument " +
                             kernel->arguments[index].name);
}

Launch::Launch(HostCode made, const HeadsAndBatch &headsAndBatch, LaunchProgress *counts,
               KeptMemory *kept)
    : LaunchSlots(made.kernel, headsAndBatch), code(std::move(made)), progress(counts),
      carry(kept) {
  for (const KernelArgument &argument : kernel->arguments)
    if (argument.kind == Kind::Carry)
      carrySlot = size_t(argument.slot);
}

void Launch::setCarry(bool begins, bool ends) {
  for (const KernelArgument &argument : kernel->arguments)
    if (argument.kind == Kind::Carry)
      LaunchSlots::setCarry(argument.name, nullptr, begins, ends);
}

void Launch::defer() {
  checkComplete();
  deferred.push_back(words);
}

void Launch::run(HostPool &pool, HostLaunch::Order order) {
  defer();
  std::vector<std::vector<uint64_t>> blocks = std::exchange(deferred, {});
  Programs programs{.kernel = *kernel,
                    .entry = code.entry,
                    .blocks = blocks,
                    .firstBatch = heads.firstBatch,
                    .grid = grid(),
                    .done = progress ? &progress->done : nullptr,
                    .ownState = {}};
  bool alone = !carrySlot || (blocks.front()[*carrySlot + 1] & beginsBit &&
                              blocks.back()[*carrySlot + 1] & endsBit);
  if (!alone) {
    uint64_t state = carryBase(carry->reserve(carryBytes()));
    for (std::vector<uint64_t> &block : blocks)
      block[*carrySlot] = state;
  } else if (blocks.size() > 1) {
    programs.ownState = carrySlot;
  }
  uint64_t slot = std::bit_cast<uint64_t>(&programs);
  pool.run({.kernel = enter,
            .slots = {&slot, 1},
            .grid = programs.grid,
            .scratchBytes = programs.scratchBytes(),
            .order = order,
            .rows = kernel->serialAxis0 ? HostLaunch::Rows::Serial : HostLaunch::Rows::Parallel,
            .turns = programs.ownState ? HostLaunch::Turns::Columns : HostLaunch::Turns::Whole});
}

} // namespace ringc
