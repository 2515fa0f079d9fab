#pragma once

#include "ringc/Tensor.h"
#include "ringc/attention/Context.h"
#include "ringc/attention/shared/KernelSource.h"
#include "ringc/compiler/spec/Spec.h"
#include "ringc/driver/HostMemory.h"
#include "ringc/ring/SequenceLayout.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace ringc {

/// A program's tensor and which of its axes is which; `column` is -1 for one number a row.
struct ProgramTensor {
  Tensor tensor;
  int batch = 0, row = 1, head = 2, column = 3;
  bool packed = false; ///< rows are those of all query heads of the KV head, packed
  int leading = 0;     ///< the first axes are of extents that the kernel writes before its rows

  /// [b, n, h, d]
  static ProgramTensor rows(const Tensor &tensor) { return {tensor}; }
  /// [b, Hkv, packed n, d]
  static ProgramTensor sums(const Tensor &tensor) { return {tensor, 0, 2, 1, 3, true}; }
  /// [b, h, n]
  static ProgramTensor numbers(const Tensor &tensor) { return {tensor, 0, 2, 1, -1}; }

  /// The same behind as many axes more.
  ProgramTensor behind(int axes) const {
    ProgramTensor made = *this;
    for (int *axis : {&made.batch, &made.row, &made.head})
      *axis += axes;
    if (column >= 0)
      made.column += axes;
    made.leading = axes;
    return made;
  }
};

/// Which query heads share a KV head, and the batch entry that a rank's first one is: masks count
/// entries of the whole batch.
struct HeadsAndBatch {
  int64_t kvHeads = 1;
  int64_t groupSize = 1;
  HeadMap headMap = HeadMap::Blocked;
  int64_t firstBatch = 0;
  int64_t batch = 0;
};

/// The arguments of one kernel, laid in the slots where its code expects them, for the host and for
/// devices alike. What the kernel has no argument for is ignored.
class LaunchSlots {
public:
  void set(std::string_view name, const ProgramTensor &tensor);
  /// A view that masks and scores read; an extent of 1 broadcasts.
  void set(std::string_view name, const Tensor &tensor);
  void set(std::string_view name, const Positions &positions);
  void setScalar(std::string_view name, uint64_t slot);
  void setExtent(std::string_view name, int64_t extent);
  /// `state` may be null where the state both begins and ends.
  void setCarry(std::string_view name, void *state, bool begins, bool ends);

  /// Programs along p0, p1, KV heads and batch for the extents that are set.
  std::array<int64_t, 4> grid() const;
  int64_t programs() const;
  /// Of the state of all programs.
  int64_t carryBytes() const { return kernel->carryBytes * programs(); }

protected:
  LaunchSlots(std::shared_ptr<const CompiledKernel> kernel, const HeadsAndBatch &heads);

  /// Throws std::logic_error where an argument was not given.
  void checkComplete() const;
  /// What a carry's first slot holds for the state of all programs.
  uint64_t carryBase(void *state) const;

  std::shared_ptr<const CompiledKernel> kernel;
  HeadsAndBatch heads;
  std::vector<uint64_t> words; ///< the slots

private:
  int64_t programsAlong(size_t axis) const;
  uint64_t *slotsOf(std::string_view name, KernelArgument::Kind kind);
  const KernelArgument *find(std::string_view name, KernelArgument::Kind kind) const;
  int64_t extent(std::string_view name) const;

  std::vector<bool> given; ///< by argument
};

/// A launch on the host, over one block of keys or several.
class Launch final : public LaunchSlots {
public:
  /// `carry`, which must outlive it, is for a running state that one launch leaves to the next;
  /// null for a kernel that has none.
  Launch(HostCode code, const HeadsAndBatch &heads, LaunchProgress *progress,
         KeptMemory *carry = nullptr);

  /// Whether the running state begins and ends with the block that comes next.
  void setCarry(bool begins, bool ends);

  /// Leaves the block, with the arguments as they are, for the next `run`. Throws std::logic_error
  /// where an argument was not given.
  void defer();

  /// Each program takes all blocks that were deferred, and then the one of the arguments as they
  /// are. A state that begins and ends meanwhile stays in scratch memory. Throws std::logic_error
  /// where an argument was not given.
  void run(HostPool &pool, HostLaunch::Order order);

private:
  HostCode code;
  LaunchProgress *progress;
  KeptMemory *carry;
  std::optional<size_t> carrySlot;
  std::vector<std::vector<uint64_t>> deferred; ///< as `words`
};

} // namespace ringc
