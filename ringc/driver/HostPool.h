#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

namespace ringc {

/// One program of a compiled kernel's grid. `slots` are the kernel's arguments, `scratch` is
/// 64-byte aligned memory of the calling thread, undefined on entry. Must not throw: an exception
/// ends the process.
using HostKernel = void (*)(const uint64_t *slots, int64_t p0, int64_t p1, int64_t head,
                            int64_t batch, void *scratch);

/// A kernel over a grid. Programs along p0 run one after another, then heads, which lie side by
/// side in memory, then those along p1, then batch entries.
struct HostLaunch {
  /// In which order programs start along p0. The last programs to start should be short ones, so
  /// that no thread ends long after the others.
  enum class Order : uint8_t { Rising, Falling };

  /// Serial: programs along p0 share an output, so one thread runs them one after another.
  enum class Rows : uint8_t { Parallel, Serial };

  /// Whole: launches run in their order. Columns: those that wait take turns, a column of programs
  /// along p0 each, for they read the same memory in the same order of heads.
  enum class Turns : uint8_t { Whole, Columns };

  HostKernel kernel = nullptr;
  std::span<const uint64_t> slots;
  std::array<int64_t, 4> grid = {1, 1, 1, 1}; ///< p0, p1, heads, batch
  size_t scratchBytes = 0;
  Order order = Order::Rising;
  Rows rows = Rows::Parallel;
  Turns turns = Turns::Whole;
};

/// The threads that all logical ranks of a process share: N ranks launch from N threads, and of
/// these and T - 1 workers T at a time run whatever is pending, in the order of the launches or in
/// turns, one program each. A launch waits for no thread to wake up: the one that launches takes
/// part until no program of its launch is left to start, and a pool of one has no workers.
///
/// Any number of threads may use one pool at the same time. In a child of fork() a pool starts
/// threads of its own when it is first used; one that is only destroyed there is left alone.
class HostPool {
public:
  /// `threads` of them with the one that launches, at most `mostThreads`; zero: defaultThreads()
  /// (HostThreads.h), or fewer where the system starts no more. Throws InputError when out of
  /// range, std::runtime_error when the system does not start that many threads.
  explicit HostPool(int threads = 0);
  ~HostPool();
  HostPool(const HostPool &) = delete;
  HostPool &operator=(const HostPool &) = delete;

  int threads() const { return count; }

  /// Returns when all programs have run. Called inside a program, of whichever pool, it runs them
  /// one after another in the calling thread: threads that wait for one another would do so for
  /// ever. Throws std::bad_alloc when scratch memory is not to be had, after running part of the
  /// grid. Programs round to nearest and keep denormals, whatever the calling thread does.
  void run(const HostLaunch &launch);

  /// body(i) for each i in [0, items), in any order. The body must not throw.
  template <typename Body> void forEach(int64_t items, const Body &body) {
    uint64_t slot = std::bit_cast<uint64_t>(&body);
    auto call = [](const uint64_t *slots, int64_t i, int64_t, int64_t, int64_t, void *) {
      (*std::bit_cast<const Body *>(slots[0]))(i);
    };
    run({.kernel = call, .slots = {&slot, 1}, .grid = {items, 1, 1, 1}});
  }

  /// Whether this thread runs a program, or was started by one and says so with an `Inside`.
  static bool isInside();

  /// While it lives, launches of this thread count as those of a program, if `inside`: for threads
  /// that a program starts and waits for.
  class Inside {
  public:
    explicit Inside(bool inside);
    ~Inside();
    Inside(const Inside &) = delete;
    Inside &operator=(const Inside &) = delete;

  private:
    bool before;
  };

private:
  struct Queue;
  /// This process's.
  Queue &live();

  std::atomic<Queue *> queue;
  int count = 0;
};

} // namespace ringc
