#include "ringc/driver/HostPool.h"

#include "ringc/Env.h"
#include "ringc/driver/HostThreads.h"
#include "ringc/support/Error.h"

#include <pthread.h>

#include <atomic>
#include <cassert>
#include <cfenv>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <new>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

namespace ringc {

namespace {

/// A launch under way; lives on the launching thread's stack.
struct Job {
  const HostLaunch &launch;
  int64_t items;
  std::atomic<int64_t> next = 0;
  std::atomic<bool> outOfMemory = false;
  // Changed under the queue's mutex:
  std::atomic<bool> queued = true; ///< has items left to start
  int workers = 0;                 ///< threads that may still touch this job
  bool waits = false;              ///< the launching thread, for a seat or for the workers
  std::condition_variable changed = {};

  bool takesTurns() const { return launch.turns == HostLaunch::Turns::Columns; }
  bool endsColumn(int64_t item) const { return (item + 1) % launch.grid[0] == 0; }
};

/// 64-byte aligned, one for each seat, grown as kernels ask for more.
class Scratch {
public:
  Scratch() = default;
  Scratch(const Scratch &) = delete;
  Scratch &operator=(const Scratch &) = delete;
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

/// An exception ends the process, in whichever thread: others still work on the launch.
void runItem(const HostLaunch &launch, int64_t item, void *scratch) noexcept {
  auto [p0s, p1s, heads, batches] = launch.grid;
  bool column = launch.rows == HostLaunch::Rows::Serial;
  int64_t first = column ? 0 : item % p0s, count = column ? p0s : 1;
  int64_t rest = column ? item : item / p0s;
  int64_t head = rest % heads, p1 = rest / heads % p1s, batch = rest / heads / p1s;
  for (int64_t at = first; at < first + count; ++at) {
    int64_t p0 = launch.order == HostLaunch::Order::Falling ? p0s - 1 - at : at;
    launch.kernel(launch.slots.data(), p0, p1, head, batch, scratch);
  }
}

/// Set in threads that run a pool's programs, and in those that a program has started.
thread_local bool isInsideProgram = false;

/// The same numbers in every thread: one that launches may round otherwise, or flush denormals.
class DefaultRounding {
public:
  DefaultRounding() {
    std::fegetenv(&before);
    std::fesetenv(FE_DFL_ENV);
  }
  ~DefaultRounding() { std::fesetenv(&before); }
  DefaultRounding(const DefaultRounding &) = delete;
  DefaultRounding &operator=(const DefaultRounding &) = delete;

private:
  std::fenv_t before;
};

/// A child process of fork() has none of its parent's threads, and perhaps a mutex that one of them
/// held: it counts itself to be another generation, and pools of the one before start anew.
std::atomic<int64_t> generation = 0;

int64_t currentGeneration() {
  [[maybe_unused]] static const int registered =
      pthread_atfork(nullptr, nullptr, [] { ++generation; });
  return generation;
}

void runHere(const Job &job) {
  Scratch scratch;
  void *memory = scratch.reserve(job.launch.scratchBytes);
  if (!memory)
    throw std::bad_alloc();
  for (int64_t item = 0; item < job.items; ++item)
    runItem(job.launch, item, memory);
}

} // namespace

struct HostPool::Queue {
  std::mutex mutex;
  std::condition_variable changed; ///< workers wait for it
  std::deque<Job *> jobs;          ///< that have items left to start
  std::deque<Scratch> scratches;
  std::vector<Scratch *>
      seats; ///< free ones; who works has taken one, the last that was given back
  bool closed = false;
  std::atomic<int64_t> turn = 0; ///< counts how often the first job gave way
  std::vector<std::thread> threads;
  const int64_t bornIn = currentGeneration();
  Queue *ofParent = nullptr; ///< after a fork(): never used, and never freed

  /// For `count` threads, the launching one among them. Throws std::runtime_error where the system
  /// starts no more; where `fewerDo`, those are enough.
  Queue(int count, bool fewerDo) {
    threads.reserve(size_t(count - 1));
    try {
      while (threads.size() < size_t(count - 1))
        threads.emplace_back([this] { work(); });
    } catch (const std::system_error &error) {
      if (!fewerDo) {
        size_t started = threads.size();
        close();
        throw std::runtime_error("threads: the system starts " + std::to_string(started) +
                                 " beside the launching one, of " + std::to_string(count) + ": " +
                                 error.code().message());
      }
    }
    std::lock_guard lock(mutex);
    scratches.resize(threads.size() + 1);
    for (Scratch &each : scratches)
      seats.push_back(&each);
  }
  ~Queue() { close(); }

  void close() {
    {
      std::lock_guard lock(mutex);
      closed = true;
    }
    changed.notify_all();
    for (std::thread &thread : threads)
      thread.join();
    threads.clear();
  }

  bool hasWork() const { return !jobs.empty() && !seats.empty(); }

  Scratch &takeSeat() {
    Scratch *seat = seats.back();
    seats.pop_back();
    return *seat;
  }

  /// To be called with every seat that becomes free: one who waits for it is told, first those
  /// that launched.
  void offerSeat() {
    if (!hasWork())
      return;
    for (Job *job : jobs)
      if (job->waits)
        return job->changed.notify_one();
    changed.notify_one();
  }

  /// Where launches take turns: `job` gives way to the next one.
  void giveWay(Job &job) {
    std::lock_guard lock(mutex);
    if (jobs.size() < 2 || jobs.front() != &job || !jobs[1]->takesTurns())
      return;
    jobs.pop_front();
    jobs.push_back(&job);
    ++turn;
  }

  /// Takes items of the first job until none is left to start, or it gives way, or a thread that
  /// waits for `own` has none of that left to start.
  void serve(std::unique_lock<std::mutex> &lock, Scratch &scratch, const Job *own) {
    Job &job = *jobs.front();
    ++job.workers;
    int64_t ownTurn = turn;
    lock.unlock();
    void *memory = scratch.reserve(job.launch.scratchBytes);
    if (!memory)
      job.outOfMemory = true;
    bool over = false;
    while (!job.outOfMemory && turn == ownTurn && (!own || own->queued)) {
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
      job.changed.notify_one();
  }

  /// A worker's life.
  void work() {
    Inside inside(true);
    DefaultRounding rounding;
    std::unique_lock lock(mutex);
    while (true) {
      changed.wait(lock, [&] { return closed || hasWork(); });
      if (closed)
        return;
      Scratch &seat = takeSeat();
      while (!jobs.empty())
        serve(lock, seat, nullptr);
      seats.push_back(&seat);
    }
  }

  /// Works, where there is a seat, until no item of `job` is left to start: that of another launch,
  /// too, which stands before it.
  void run(Job &job) {
    std::unique_lock lock(mutex);
    jobs.push_back(&job);
    if (job.items == 2)
      changed.notify_one();
    else if (job.items > 2)
      changed.notify_all();
    while (job.queued || job.workers) {
      if (!job.queued || seats.empty()) {
        job.waits = true;
        job.changed.wait(lock);
        job.waits = false;
        continue;
      }
      Scratch &seat = takeSeat();
      {
        Inside inside(true);
        DefaultRounding rounding;
        while (job.queued)
          serve(lock, seat, &job);
      }
      seats.push_back(&seat);
      offerSeat();
    }
    offerSeat(); // one that this thread was told of and has no use for
  }
};

HostPool::HostPool(int threads) {
  if (threads < 0 || threads > mostThreads)
    throw InputError("threads", std::to_string(threads),
                     "1 to " + std::to_string(mostThreads) + ", or 0 for as many as there are");
  queue = threads > 0 ? new Queue(threads, false) : new Queue(defaultThreads(Env::read()), true);
  count = int(queue.load()->scratches.size());
}

HostPool::~HostPool() {
  Queue *last = queue;
  if (last->bornIn == currentGeneration())
    delete last;
}

HostPool::Queue &HostPool::live() {
  Queue *known = queue;
  if (known->bornIn == currentGeneration())
    return *known;
  auto fresh = std::make_unique<Queue>(count, false);
  fresh->ofParent = known;
  return queue.compare_exchange_strong(known, fresh.get()) ? *fresh.release() : *known;
}

bool HostPool::isInside() { return isInsideProgram; }

HostPool::Inside::Inside(bool inside) : before(isInsideProgram) { isInsideProgram |= inside; }
HostPool::Inside::~Inside() { isInsideProgram = before; }

void HostPool::run(const HostLaunch &launch) {
  assert(launch.kernel);
  Job job{.launch = launch, .items = itemsOf(launch)};
  if (job.items == 0)
    return;
  if (isInsideProgram)
    return runHere(job);
  live().run(job);
  if (job.outOfMemory)
    throw std::bad_alloc();
}

} // namespace ringc
