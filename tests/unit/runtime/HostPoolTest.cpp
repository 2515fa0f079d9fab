#include "runtime/driver/HostPool.h"

#include "runtime/Error.h"

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <mutex>
#include <new>
#include <set>
#include <thread>
#include <utility>
#include <vector>

using namespace ringc;

namespace {

struct Grid {
  std::array<int64_t, 4> extents;
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
  ++grid.visits[size_t(((batch * size[2] + head) * size[1] + p1) * size[0] + p0)];
  std::memset(scratch, 1, slots[1]);
  if (reinterpret_cast<uintptr_t>(scratch) % 64)
    grid.visits[0] += 1000;
  std::lock_guard lock(grid.mutex);
  grid.threads.insert(std::this_thread::get_id());
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

TEST_CASE("many ranks share the threads of one pool") {
  HostPool pool(2);
  constexpr int ranks = 8, rounds = 50;
  std::mutex mutex;
  std::set<std::thread::id> used;
  std::vector<std::thread> callers;
  std::atomic<int> wrong = 0;
  for (int rank = 0; rank < ranks; ++rank)
    callers.emplace_back([&, rank] {
      for (int round = 0; round < rounds; ++round) {
        Grid grid({1 + (rank * 7 + round) % 23, 1, 2, 1});
        uint64_t slots[] = {reinterpret_cast<uint64_t>(&grid), uint64_t(rank * 64)};
        pool.run({.kernel = visit,
                  .slots = slots,
                  .grid = grid.extents,
                  .scratchBytes = size_t(rank * 64)});
        for (const auto &count : grid.visits)
          wrong += count != 1;
        std::lock_guard lock(mutex);
        used.insert(grid.threads.begin(), grid.threads.end());
      }
    });
  for (std::thread &caller : callers)
    caller.join();
  CHECK(wrong == 0);
  CHECK(used.size() <= 2);
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
  CHECK_THROWS_AS(HostPool(-1), InputError);
  CHECK(HostPool().threads() >= 1);
}
