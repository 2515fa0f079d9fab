// A launch over several blocks of keys: what each program gets, and where its running state lies.

#include "ringc/attention/shared/Launch.h"

#include <doctest/doctest.h>

#include <bit>
#include <map>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

using namespace ringc;

namespace {

constexpr int64_t stateBytes = 128, rowsOfProgram = 4;
enum Slot { Block, State, Flags, Rows, Slots };

/// What programs saw: the blocks of each, in their order, and where their state was.
struct Seen {
  std::mutex mutex;
  std::map<int64_t, std::vector<int64_t>> blocks; ///< by program
  std::set<uint64_t> states;
  bool aligned = true;
};
Seen *seen = nullptr;

/// Sums the numbers of blocks in the program's state, as a kernel with a carry does.
void sumBlocks(const uint64_t *slots, int64_t p0, int64_t, int64_t head, int64_t batch, void *) {
  int64_t programs = (int64_t(slots[Rows]) + rowsOfProgram - 1) / rowsOfProgram;
  int64_t program = p0 + programs * (head + 2 * batch);
  uint64_t state = slots[State] + uint64_t(program * stateBytes);
  bool alone = slots[Flags] == 3; // then there need be none
  if (!alone) {
    auto *sum = std::bit_cast<int64_t *>(state);
    *sum = (slots[Flags] & 1 ? 0 : *sum * 10) + int64_t(slots[Block]);
  }
  std::lock_guard lock(seen->mutex);
  seen->blocks[program].push_back(alone ? int64_t(slots[Block]) : *std::bit_cast<int64_t *>(state));
  if (!alone) {
    seen->states.insert(state);
    seen->aligned &= state % 64 == 0;
  }
}

HostCode code() {
  auto kernel = std::make_shared<CompiledKernel>();
  kernel->name = "sum_blocks";
  kernel->arguments = {{.name = "block", .kind = KernelArgument::Kind::Scalar, .slot = Block},
                       {.name = "state", .kind = KernelArgument::Kind::Carry, .slot = State},
                       {.name = "Nq", .kind = KernelArgument::Kind::Extent, .slot = Rows}};
  kernel->slotCount = Slots;
  kernel->grid = {{"Nq", rowsOfProgram}};
  kernel->perHead = true;
  kernel->scratchBytes = 40;
  kernel->carryBytes = stateBytes;
  HostCode made;
  made.kernel = kernel;
  made.entry = sumBlocks;
  return made;
}

constexpr HeadsAndBatch heads{.kvHeads = 2, .firstBatch = 3, .batch = 2};
constexpr int64_t programsInAll = 3 * 2 * 2;

/// Blocks 1, 2, ... in launches of so many each.
void runBlocks(Launch &launch, HostPool &pool, const std::vector<int> &launches) {
  launch.setExtent("Nq", 11);
  int blocks = 0, block = 0;
  for (int count : launches)
    blocks += count;
  for (int count : launches)
    for (int left = count; left > 0; --left) {
      ++block;
      launch.setScalar("block", uint64_t(block));
      launch.setCarry(block == 1, block == blocks);
      if (left > 1)
        launch.defer();
      else
        launch.run(pool, HostLaunch::Order::Rising);
    }
}

} // namespace

TEST_CASE("programs take the blocks of a launch one after another, and resume their state") {
  HostPool pool(3);
  KeptMemory carry;
  LaunchProgress progress;
  for (const std::vector<int> &launches :
       {std::vector<int>{1}, {3}, {1, 2}, {2, 1}, {1, 1, 1}, {2, 2}}) {
    Seen all;
    seen = &all;
    progress.done = 0;
    Launch launch(code(), heads, &progress, &carry);
    runBlocks(launch, pool, launches);
    std::vector<int64_t> expected;
    for (int count : launches)
      for (int i = 0; i < count; ++i)
        expected.push_back(int64_t(expected.size()) + 1 +
                           (expected.empty() ? 0 : 10 * expected.back()));
    CHECK(all.blocks.size() == programsInAll);
    for (const auto &[program, sums] : all.blocks) {
      CHECK(program >= 3 * 3 * 2); // entries of the batch before the rank's count
      CHECK(sums == expected);
    }
    CHECK(all.aligned);
    CHECK(progress.done == programsInAll * int64_t(expected.size()));
    // One state a program, or, where a launch does it all, one a thread.
    if (launches.size() > 1)
      CHECK(all.states.size() == programsInAll);
    else
      CHECK(all.states.size() <= 3);
  }
}

TEST_CASE("a launch without one of its arguments is a mistake of ours") {
  HostPool pool(1);
  KeptMemory carry;
  Launch launch(code(), heads, nullptr, &carry);
  launch.setExtent("Nq", 1);
  launch.setCarry(true, true);
  CHECK_THROWS_AS(launch.defer(), std::logic_error);
}
