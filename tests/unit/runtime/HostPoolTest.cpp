#include "ringc/driver/HostPool.h"

#include "ringc/support/Error.h"

#include <doctest/doctest.h>

#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cfenv>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace ringc;

namespace {

/// How many programs run at once, and how many did at most.
struct Running {
  std::atomic<int> now = 0, most = 0;

  void enter() {
    int count = ++now, before = most;
    while (before < count && !most.compare_exchange_weak(before, count))
      ;
  }
  void leave() { --now; }
};

struct Grid {
  std::array<int64_t, 4> extents;
  Running *running = nullptr;
  std::vector<std::atomic<int>> visits;
  std::mutex mutex;
  std::set<std::thread::id> threads;

  explicit Grid(std::array<int64_t, 4> size)
      : extents(size), visits(size_t(size[0] * size[1] * size[2] * size[3])) {}
};

void visit(const uint64_t *slots, int64_t p0, int64_t p1, int64_t head, int64_t batch,
           void *scratch) {
  auto &grid = *reinterpret_cast<Grid *>(slots[0]);
  auto &size = grid.extents;
  if (grid.running)
    grid.running->enter();
  ++grid.visits[size_t(((batch * size[2] + head) * size[1] + p1) * size[0] + p0)];
  std::memset(scratch, 1, slots[1]);
  if (reinterpret_cast<uintptr_t>(scratch) % 64)
    grid.visits[0] += 1000;
  {
    std::lock_guard lock(grid.mutex);
    grid.threads.insert(std::this_thread::get_id());
  }
  if (grid.running)
    grid.running->leave();
}

void note(const uint64_t *slots, int64_t p0, int64_t, int64_t, int64_t, void *) {
  reinterpret_cast<std::vector<int64_t> *>(slots[0])->push_back(p0);
}

} // namespace

TEST_CASE("every program runs once, with aligned scratch of its size") {
  HostPool pool(3);
  CHECK(pool.threads() == 3);
  for (auto extents : {std::array<int64_t, 4>{1, 1, 1, 1},
                       {7, 2, 3, 5},
                       {100, 1, 1, 1},
                       {1, 1, 64, 2},
                       {0, 1, 1, 1},
                       {4, 1, 0, 2}}) {
    for (uint64_t scratchBytes : {0, 1, 100, 5000}) {
      Grid grid(extents);
      uint64_t slots[] = {reinterpret_cast<uint64_t>(&grid), scratchBytes};
      pool.run({.kernel = visit, .slots = slots, .grid = extents, .scratchBytes = scratchBytes});
      for (const auto &count : grid.visits)
        REQUIRE(count == 1);
      CHECK(grid.threads.size() <= 3);
    }
  }
}

TEST_CASE("many ranks share one pool, and no more programs run at once than it has threads") {
  int threads = 0;
  SUBCASE("one") { threads = 1; }
  SUBCASE("two") { threads = 2; }
  SUBCASE("three") { threads = 3; }
  HostPool pool(threads);
  constexpr int ranks = 8, rounds = 50;
  Running running;
  std::vector<std::thread> callers;
  std::atomic<int> wrong = 0;
  for (int rank = 0; rank < ranks; ++rank)
    callers.emplace_back([&, rank] {
      for (int round = 0; round < rounds; ++round) {
        Grid grid({1 + (rank * 7 + round) % 23, 1, 2, 1});
        grid.running = &running;
        uint64_t slots[] = {reinterpret_cast<uint64_t>(&grid), uint64_t(rank * 64)};
        pool.run({.kernel = visit,
                  .slots = slots,
                  .grid = grid.extents,
                  .scratchBytes = size_t(rank * 64),
                  .turns = rank % 2 ? HostLaunch::Turns::Columns : HostLaunch::Turns::Whole});
        for (const auto &count : grid.visits)
          wrong += count != 1;
      }
    });
  for (std::thread &caller : callers)
    caller.join();
  CHECK(wrong == 0);
  CHECK(running.most <= threads);
}

TEST_CASE("the launching thread takes part; with one thread it does all") {
  std::thread::id self = std::this_thread::get_id();
  HostPool alone(1);
  Grid grid({5, 1, 2, 1});
  uint64_t slots[] = {reinterpret_cast<uint64_t>(&grid), 0};
  alone.run({.kernel = visit, .slots = slots, .grid = grid.extents});
  CHECK(grid.threads == std::set{self});
  CHECK(!HostPool::isInside());

  HostPool two(2); // both are needed at once
  std::atomic<int> inside = 0, byThis = 0;
  two.forEach(2, [&](int64_t) {
    byThis += std::this_thread::get_id() == self;
    ++inside;
    while (inside < 2)
      std::this_thread::yield();
  });
  CHECK(byThis == 1);
}

TEST_CASE("a launch that waits for another one's seat runs when it is free") {
  HostPool pool(1);
  std::atomic<bool> started = false, release = false;
  std::atomic<int> ran = 0;
  std::thread first([&] {
    pool.forEach(1, [&](int64_t) {
      started = true;
      while (!release)
        std::this_thread::yield();
      ++ran;
    });
  });
  while (!started)
    std::this_thread::yield();
  std::vector<std::thread> others;
  for (int each = 0; each < 3; ++each)
    others.emplace_back([&] { pool.forEach(4, [&](int64_t) { ++ran; }); });
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  CHECK(ran == 0);
  release = true;
  first.join();
  for (std::thread &thread : others)
    thread.join();
  CHECK(ran == 13);
}

TEST_CASE("programs round as ever, whatever the launching thread does") {
  HostPool pool(2);
  std::atomic<int> wrong = 0;
  std::fesetround(FE_UPWARD);
  pool.forEach(100, [&](int64_t) { wrong += std::fegetround() != FE_TONEAREST; });
  CHECK(std::fegetround() == FE_UPWARD);
  std::fesetround(FE_TONEAREST);
  CHECK(wrong == 0);
}

TEST_CASE("programs start in the order asked for") {
  HostPool pool(1);
  std::vector<int64_t> order;
  uint64_t slots[] = {reinterpret_cast<uint64_t>(&order)};
  pool.run({.kernel = note, .slots = slots, .grid = {4, 1, 2, 1}});
  CHECK(order == std::vector<int64_t>{0, 1, 2, 3, 0, 1, 2, 3});
  order.clear();
  pool.run(
      {.kernel = note, .slots = slots, .grid = {4, 1, 1, 1}, .order = HostLaunch::Order::Falling});
  CHECK(order == std::vector<int64_t>{3, 2, 1, 0});
}

TEST_CASE("heads of one place along the second axis run before the next place") {
  HostPool pool(1);
  std::vector<std::array<int64_t, 3>> order;
  auto notePlace = [](const uint64_t *slots, int64_t, int64_t p1, int64_t head, int64_t batch,
                      void *) {
    reinterpret_cast<std::vector<std::array<int64_t, 3>> *>(slots[0])->push_back({batch, p1, head});
  };
  uint64_t slots[] = {reinterpret_cast<uint64_t>(&order)};
  pool.run({.kernel = notePlace, .slots = slots, .grid = {1, 2, 3, 2}});
  CHECK(order.size() == 12);
  CHECK(std::ranges::is_sorted(order));
}

TEST_CASE("launches that take turns give way after each column of programs") {
  HostPool pool(1);
  struct Order {
    std::vector<std::pair<int64_t, int64_t>> columns; ///< launch, head; one entry a column
    int64_t programs = 0;
    std::atomic<bool> secondComes = false;
  };
  auto kernel = [](const uint64_t *slots, int64_t p0, int64_t, int64_t head, int64_t, void *) {
    auto &order = *reinterpret_cast<Order *>(slots[0]);
    if (slots[1] == 0 && head == 0 && p0 == 0) { // the second launch shall wait behind the first
      while (!order.secondComes)
        std::this_thread::yield();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    std::pair<int64_t, int64_t> column(slots[1], head);
    if (order.columns.empty() || order.columns.back() != column)
      order.columns.push_back(column);
    ++order.programs;
  };
  bool tookTurns = false;
  for (int time = 0; time < 1000 && !tookTurns; ++time) {
    Order order;
    auto run = [&](uint64_t launch) {
      uint64_t slots[] = {reinterpret_cast<uint64_t>(&order), launch};
      pool.run({.kernel = kernel,
                .slots = slots,
                .grid = {3, 1, 4, 1},
                .turns = HostLaunch::Turns::Columns});
    };
    std::thread second([&] {
      order.secondComes = true;
      run(1);
    });
    run(0);
    second.join();
    CHECK(order.programs == 2 * 3 * 4);
    CHECK(order.columns.size() <= 2 * 4); // none was broken
    using Columns = std::vector<std::pair<int64_t, int64_t>>;
    tookTurns =
        order.columns == Columns{{0, 0}, {1, 0}, {0, 1}, {1, 1}, {0, 2}, {1, 2}, {0, 3}, {1, 3}};
  }
  CHECK(tookTurns);
}

TEST_CASE("serial rows of one column run one after another, columns side by side") {
  HostPool pool(4);
  struct Column {
    std::atomic<int> running = 0;
    std::vector<int64_t> order;
  };
  static std::vector<Column> columns(6);
  static std::atomic<int> overlaps = 0;
  auto kernel = [](const uint64_t *, int64_t p0, int64_t p1, int64_t head, int64_t, void *) {
    Column &column = columns[size_t(head * 2 + p1)];
    overlaps += column.running++ != 0;
    column.order.push_back(p0);
    --column.running;
  };
  pool.run({.kernel = kernel,
            .grid = {50, 2, 3, 1},
            .order = HostLaunch::Order::Falling,
            .rows = HostLaunch::Rows::Serial});
  CHECK(overlaps == 0);
  for (const Column &column : columns) {
    REQUIRE(column.order.size() == 50);
    for (int64_t i = 0; i < 50; ++i)
      CHECK(column.order[size_t(i)] == 49 - i);
  }
  pool.run({.kernel = kernel, .grid = {0, 2, 3, 1}, .rows = HostLaunch::Rows::Serial});
  CHECK(columns[0].order.size() == 50);
}

TEST_CASE("scratch beyond memory is an error, and the pool lives on") {
  HostPool pool(2);
  std::vector<int64_t> order;
  uint64_t slots[] = {reinterpret_cast<uint64_t>(&order)};
  CHECK_THROWS_AS(
      pool.run({.kernel = note, .slots = slots, .grid = {4, 1, 1, 1}, .scratchBytes = SIZE_MAX}),
      std::bad_alloc);
  CHECK(order.empty());
  pool.run({.kernel = note, .slots = slots});
  CHECK(order.size() == 1);
}

TEST_CASE("threads") {
  CHECK_THROWS_WITH_AS(HostPool(-1),
                       "threads: got -1, allowed: 1 to 1024, or 0 for as many as there are",
                       InputError);
  CHECK_THROWS_AS(HostPool(1025), InputError);
  CHECK(HostPool().threads() >= 1);
}

TEST_CASE("a launch inside a program runs there, on its own pool and on another") {
  HostPool pool(1), other(2);
  std::atomic<int> inner = 0, elsewhere = 0, back = 0;
  CHECK(!HostPool::isInside());
  pool.forEach(3, [&](int64_t) {
    pool.forEach(5, [&](int64_t) { ++inner; });
    other.forEach(7, [&](int64_t) { pool.forEach(2, [&](int64_t) { ++back; }); });
    elsewhere += HostPool::isInside();
  });
  CHECK(inner == 15);
  CHECK(back == 42);
  CHECK(elsewhere == 3);
  CHECK(!HostPool::isInside());
}

TEST_CASE("threads that a program starts and waits for launch there, too") {
  HostPool pool(1);
  std::atomic<int> ran = 0;
  pool.forEach(1, [&](int64_t) {
    bool inside = HostPool::isInside();
    std::thread([&] {
      HostPool::Inside ofProgram(inside);
      pool.forEach(4, [&](int64_t) { ++ran; });
    }).join();
  });
  CHECK(ran == 4);
}

TEST_CASE("scratch beyond memory inside a program is an error of the inner launch") {
  HostPool pool(1);
  std::atomic<int> failed = 0;
  pool.forEach(2, [&](int64_t) {
    try {
      pool.run({.kernel = note, .scratchBytes = SIZE_MAX});
    } catch (const std::bad_alloc &) {
      ++failed;
    }
  });
  CHECK(failed == 2);
}

namespace {

/// What `body` returns in a child of fork(); 100 where it does not end within ten seconds, 200 and
/// the signal where one ends it.
template <typename Body> int inChild(Body &&body) {
  pid_t child = fork();
  if (child == 0) {
    alarm(10);
    _exit(body());
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFSIGNALED(status))
    return WTERMSIG(status) == SIGALRM ? 100 : 200 + WTERMSIG(status);
  return WEXITSTATUS(status);
}

int itemsThatRun(HostPool &pool, int count) {
  std::atomic<int> ran = 0;
  pool.forEach(count, [&](int64_t) { ++ran; });
  return ran;
}

#if defined(__has_feature)
#define RINGC_HAS_FEATURE(feature) __has_feature(feature)
#else
#define RINGC_HAS_FEATURE(feature) 0
#endif
/// It allows no threads in a child of a process with threads.
#if defined(__SANITIZE_THREAD__) || RINGC_HAS_FEATURE(thread_sanitizer)
constexpr bool threadSanitizer = true;
#else
constexpr bool threadSanitizer = false;
#endif
/// It needs terabytes of addresses.
#if defined(__SANITIZE_ADDRESS__) || RINGC_HAS_FEATURE(address_sanitizer)
constexpr bool addressSanitizer = true;
#else
constexpr bool addressSanitizer = false;
#endif

} // namespace

TEST_CASE("after fork() a pool works in the child and in the parent" *
          doctest::skip(threadSanitizer)) {
  HostPool pool(3);
  CHECK(itemsThatRun(pool, 20) == 20);
  CHECK(inChild([&] { return itemsThatRun(pool, 20) + itemsThatRun(pool, 5); }) == 25);
  CHECK(inChild([&] { return inChild([&] { return itemsThatRun(pool, 7); }); }) == 7);
  CHECK(inChild([&] { return std::make_unique<HostPool>(2)->threads(); }) == 2);
  auto dropped = std::make_unique<HostPool>(2);
  CHECK(inChild([&] {
          dropped.reset();
          return 9;
        }) == 9);
  CHECK(itemsThatRun(pool, 20) == 20);
}

TEST_CASE("an exception in a program ends the process, in whichever thread") {
  for (int threads : {1, 2})
    CHECK(inChild([&] {
            std::signal(SIGABRT, SIG_DFL);
            std::set_terminate([] { std::abort(); });
            HostPool(threads).forEach(4, [](int64_t) { throw std::runtime_error("no"); });
            return 0;
          }) == 200 + SIGABRT);
}

TEST_CASE("fork() while other threads launch" * doctest::skip(threadSanitizer)) {
  HostPool pool(2);
  std::atomic<bool> enough = false;
  std::vector<std::jthread> busy;
  for (int each = 0; each < 2; ++each)
    busy.emplace_back([&] {
      while (!enough)
        itemsThatRun(pool, 3);
    });
  int right = 0;
  for (int time = 0; time < 20; ++time)
    right += inChild([&] { return itemsThatRun(pool, 11); }) == 11;
  enough = true;
  CHECK(right == 20);
}

TEST_CASE("a system without threads is an error for who names a number, else fewer do" *
          doctest::skip(threadSanitizer || addressSanitizer)) {
  // No limit on processes holds for root, one on memory for stacks does.
  auto limited = [](auto &&body) {
    return inChild([&] {
      rlimit stacks = {size_t(1) << 30, size_t(1) << 30}, memory = {size_t(4) << 30, RLIM_INFINITY};
      setrlimit(RLIMIT_STACK, &stacks);
      pthread_attr_t attributes;
      pthread_attr_init(&attributes);
      pthread_attr_setstacksize(&attributes, size_t(1) << 30);
      pthread_setattr_default_np(&attributes);
      memory.rlim_max = memory.rlim_cur;
      setrlimit(RLIMIT_AS, &memory);
      return body();
    });
  };
  CHECK(limited([] {
          try {
            HostPool pool(64);
          } catch (const std::runtime_error &error) {
            return std::string(error.what()).find(" of 64: ") != std::string::npos ? 1 : 2;
          }
          return 3;
        }) == 1);
  CHECK(limited([] {
          setenv("OMP_NUM_THREADS", "64", 1);
          HostPool pool;
          return pool.threads() < 64 ? itemsThatRun(pool, 8) : 100;
        }) == 8);
}
