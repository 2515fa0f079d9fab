#include "runtime/driver/HostPool.h"

#include "runtime/Error.h"

#include <omp.h>

#include <algorithm>
#include <atomic>
#include <cassert>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <new>
#include <string>
#include <thread>

namespace ringc {

namespace {

/// A launch under way; lives on the launching thread's stack.
struct Job {
  const HostLaunch &launch;
  int64_t items;
  std::atomic<int64_t> next = 0;
  std::atomic<bool> outOfMemory = false;
  // Under the queue's mutex:
  int workers = 0; ///< that may still touch this job
  bool queued = true;
  std::condition_variable over = {};

  bool takesTurns() const { return launch.turns == HostLaunch::Turns::Columns; }
  bool endsColumn(int64_t item) const { return (item + 1) % launch.grid[0] == 0; }
};

/// 64-byte aligned, one for each thread, grown as kernels ask for more.
class Scratch {
public:
  ~Scratch() { std::free(memory); }

  /// Null when there is no memory.
  void *reserve(size_t bytes) {
    constexpr size_t alignment = 64;
    if (bytes <= capacity)
      return memory ? memory : &none;
    std::free(memory);
    capacity = 0;
    memory = bytes > SIZE_MAX - alignment
                 ? nullptr
                 : std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
    if (memory)
      capacity = bytes;
    return memory;
  }

private:
  alignas(64) std::byte none{};
  void *memory = nullptr;
  size_t capacity = 0;
};

/// What one thread runs at a time: a program, or a column of them along p0.
int64_t itemsOf(const HostLaunch &launch) {
  bool columns = launch.rows == HostLaunch::Rows::Serial;
  int64_t items = columns && launch.grid[0] > 0 ? 1 : launch.grid[0];
  for (int axis : {1, 2, 3}) {
    [[maybe_unused]] bool overflow = __builtin_mul_overflow(items, launch.grid[axis], &items);
    assert(!overflow);
  }
  return items;
}

void runItem(const HostLaunch &launch, int64_t item, void *scratch) {
  auto [p0s, p1s, heads, batches] = launch.grid;
  bool column = launch.rows == HostLaunch::Rows::Serial;
  int64_t first = column ? 0 : item % p0s, count = column ? p0s : 1;
  int64_t rest = column ? item : item / p0s;
  int64_t p1 = rest % p1s, head = rest / p1s % heads, batch = rest / p1s / heads;
  for (int64_t at = first; at < first + count; ++at) {
    int64_t p0 = launch.order == HostLaunch::Order::Falling ? p0s - 1 - at : at;
    launch.kernel(launch.slots.data(), p0, p1, head, batch, scratch);
  }
}

} // namespace

struct HostPool::Queue {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Job *> jobs; ///< that have items left to start
  bool closed = false;
  int threads = 1;
  std::thread dispatcher;
  std::atomic<int64_t> turn = 0; ///< counts how often the first job gave way

  /// Where launches take turns: `job` gives way to the next one.
  void giveWay(Job &job) {
    std::lock_guard lock(mutex);
    if (jobs.size() < 2 || jobs.front() != &job || !jobs[1]->takesTurns())
      return;
    jobs.pop_front();
    jobs.push_back(&job);
    ++turn;
  }

  /// Takes items of the first job until none is left to start, or it gives way.
  void work() {
    Scratch scratch;
    std::unique_lock lock(mutex);
    while (true) {
      changed.wait(lock, [&] { return closed || !jobs.empty(); });
      if (jobs.empty())
        return;
      Job &job = *jobs.front();
      ++job.workers;
      int64_t ownTurn = turn;
      lock.unlock();
      void *memory = scratch.reserve(job.launch.scratchBytes);
      if (!memory)
        job.outOfMemory = true;
      bool over = false;
      while (!job.outOfMemory && turn == ownTurn) {
        int64_t item = job.next.fetch_add(1, std::memory_order_relaxed);
        over = item >= job.items;
        if (over)
          break;
        if (job.takesTurns() && job.endsColumn(item))
          giveWay(job);
        runItem(job.launch, item, memory);
      }
      lock.lock();
      if (job.queued && (over || job.outOfMemory)) {
        std::erase(jobs, &job);
        job.queued = false;
      }
      if (--job.workers == 0 && !job.queued) // a job that gave way is not over
        job.over.notify_one();
    }
  }
};

HostPool::HostPool(int threads) {
  if (threads < 0)
    throw InputError("threads", std::to_string(threads),
                     "1 or more, or 0 for as many as there are");
  queue = std::make_unique<Queue>();
  queue->threads = threads > 0 ? threads : std::max(1, omp_get_max_threads());
  // One parallel region for the pool's life, entered by a thread of its own: a region in each
  // rank's thread would make N teams of T.
  queue->dispatcher = std::thread([shared = queue.get()] {
#pragma omp parallel num_threads(shared->threads)
    shared->work();
  });
}

HostPool::~HostPool() {
  {
    std::lock_guard lock(queue->mutex);
    queue->closed = true;
  }
  queue->changed.notify_all();
  queue->dispatcher.join();
}

int HostPool::threads() const { return queue->threads; }

void HostPool::run(const HostLaunch &launch) {
  assert(launch.kernel);
  Job job{.launch = launch, .items = itemsOf(launch)};
  if (job.items == 0)
    return;
  {
    std::unique_lock lock(queue->mutex);
    queue->jobs.push_back(&job);
    if (job.items == 1)
      queue->changed.notify_one();
    else
      queue->changed.notify_all();
    job.over.wait(lock, [&] { return !job.queued && job.workers == 0; });
  }
  if (job.outOfMemory)
    throw std::bad_alloc();
}

} // namespace ringc
