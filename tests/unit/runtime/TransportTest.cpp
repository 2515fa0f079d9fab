#include "ringc/comm/InProcess.h"

#include "ringc/support/Error.h"

#include <doctest/doctest.h>

#include <chrono>
#include <cstring>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace ringc;
using namespace std::chrono_literals;

namespace {

std::span<const std::byte> bytesOf(const std::vector<int> &values) {
  return std::as_bytes(std::span(values));
}
/// Each rank's are {rank, 10 + rank}.
std::vector<std::vector<int>> numbersOfRanks(int size) {
  std::vector<std::vector<int>> numbers;
  for (int rank = 0; rank < size; ++rank)
    numbers.push_back({rank, 10 + rank});
  return numbers;
}
std::span<std::byte> writable(std::vector<int> &values) {
  return std::as_writable_bytes(std::span(values));
}

/// Sends to the right, receives from the left.
std::unique_ptr<Transfer> shift(Transport &self, int hop, const std::vector<int> &from,
                                std::vector<int> &to) {
  int world = self.world(), rank = self.rank();
  return self.post({.hop = hop,
                    .channel = Channel::Keys,
                    .sends = {{(rank + 1) % world, bytesOf(from)}},
                    .receives = {{(rank + world - 1) % world, writable(to)}}});
}

} // namespace

TEST_CASE("blocks go round any ring, also of one and two ranks, over many hops") {
  for (int size : {1, 2, 3, 5, 8}) {
    InProcessWorld world(size);
    const int hops = size * (1000 / size);
    std::vector<int> ends(size, -1);
    runRanks(world, [&](int rank) {
      std::vector<int> current(17, rank), next(17);
      for (int hop = 0; hop < hops; ++hop) {
        shift(world.at(rank), hop, current, next)->wait();
        current.swap(next);
      }
      ends[rank] = current[16];
    });
    for (int rank = 0; rank < size; ++rank) {
      CHECK(ends[rank] == rank);
      CHECK(world.at(rank).sentBytes() == int64_t(hops) * 17 * int64_t(sizeof(int)));
      CHECK(world.at(rank).receivedBytes() == world.at(rank).sentBytes());
    }
  }
}

TEST_CASE("messages of one exchange and of several are matched in order") {
  InProcessWorld world(2);
  runRanks(world, [&](int rank) {
    Transport &self = world.at(rank);
    std::vector<int> a = {1}, b = {2, 3}, c = {4}, none;
    if (rank == 0) {
      auto first = self.post({.hop = 0,
                              .channel = Channel::Keys,
                              .sends = {{1, bytesOf(a)}, {1, bytesOf(b)}, {1, bytesOf(none)}},
                              .receives = {}});
      auto second = self.post(
          {.hop = 0, .channel = Channel::Gradients, .sends = {{1, bytesOf(c)}}, .receives = {}});
      second->wait();
      first->wait();
    } else {
      std::vector<int> x(1), y(2), z(1), w;
      auto first = self.post({.hop = 0,
                              .channel = Channel::Keys,
                              .sends = {},
                              .receives = {{0, writable(x)}, {0, writable(y)}, {0, writable(w)}}});
      auto second = self.post(
          {.hop = 0, .channel = Channel::Gradients, .sends = {}, .receives = {{0, writable(z)}}});
      first->wait();
      second->wait();
      CHECK(x == a);
      CHECK(y == b);
      CHECK(z == c);
    }
  });
}

TEST_CASE("a rank two seconds late is waited for, within the deadline") {
  InProcessWorld world(3, {.deadline = 60s, .beforePost = [](int rank, const Exchange &exchange) {
                             if (rank == 1 && exchange.hop == 1)
                               std::this_thread::sleep_for(2s);
                           }});
  runRanks(world, [&](int rank) {
    std::vector<int> current(1, rank), next(1);
    for (int hop = 0; hop < 3; ++hop) {
      shift(world.at(rank), hop, current, next)->wait();
      current.swap(next);
    }
    CHECK(current[0] == rank);
  });
}

TEST_CASE("a rank beyond the deadline: every other one fails in time, naming hop and peer") {
  for (int size : {2, 3, 4}) {
    InProcessWorld world(size, {.deadline = 100ms, .beforePost = {}});
    std::vector<std::string> errors(size);
    auto start = std::chrono::steady_clock::now();
    std::vector<std::thread> threads;
    for (int rank = 1; rank < size; ++rank) // rank 0 never comes
      threads.emplace_back([&, rank] {
        std::vector<int> from(1), to(1);
        try {
          for (int hop = 0; hop < size; ++hop) // the nearer to rank 0, the earlier it shows
            shift(world.at(rank), hop, from, to)->wait();
        } catch (const PeerError &error) {
          errors[rank] = error.what();
          CHECK(errors[rank].starts_with("rank " + std::to_string(rank) + ": hop " +
                                         std::to_string(error.hop()) + ", keys, peer " +
                                         std::to_string(error.peer())));
          CHECK((error.peer() == (rank + 1) % size || error.peer() == rank - 1));
        }
      });
    for (std::thread &thread : threads)
      thread.join();
    CHECK(std::chrono::steady_clock::now() - start < 10s);
    for (int rank = 1; rank < size; ++rank)
      CHECK_FALSE(errors[rank].empty());
    // And stays failed, at once.
    std::vector<int> from(1), to(1);
    auto late = shift(world.at(0), 7, from, to);
    CHECK_THROWS_AS(late->wait(), PeerError);
  }
}

TEST_CASE("a rank that throws wakes the others, and its own error comes out") {
  InProcessWorld world(4);
  CHECK_THROWS_WITH_AS(runRanks(world,
                                [&](int rank) {
                                  std::vector<int> from(1), to(1);
                                  shift(world.at(rank), 0, from, to)->wait();
                                  if (rank == 2)
                                    throw std::runtime_error("no memory left");
                                  shift(world.at(rank), 1, from, to)->wait();
                                }),
                       "no memory left", std::runtime_error);
  CHECK(world.firstToFail() == 2);
  std::vector<int> from(1), to(1);
  auto transfer = shift(world.at(1), 2, from, to);
  CHECK_THROWS_WITH_AS(transfer->wait(),
                       "rank 1: hop 2, keys, peer 0: rank 2 failed: no memory left", PeerError);
}

TEST_CASE("the error of the first to fail comes out, however late its rank unwinds") {
  for (int round = 0; round < 50; ++round) {
    InProcessWorld world(4);
    CHECK_THROWS_WITH_AS(runRanks(world,
                                  [&](int rank) {
                                    std::vector<int> from(1), to(1);
                                    if (rank == 2) {
                                      world.at(rank).abort("the cause");
                                      std::this_thread::sleep_for(1ms);
                                      throw std::runtime_error("the cause");
                                    }
                                    shift(world.at(rank), 0, from, to)->wait();
                                  }),
                         "the cause", std::runtime_error);
  }
}

TEST_CASE("plans that do not fit are an error on both sides") {
  InProcessWorld world(2);
  std::vector<std::string> errors(2);
  CHECK_THROWS_AS(runRanks(world,
                           [&](int rank) {
                             std::vector<int> from(rank + 1), to(2);
                             try {
                               shift(world.at(rank), 0, from, to)->wait();
                             } catch (const PeerError &error) {
                               errors[rank] = error.what();
                               throw;
                             }
                           }),
                  PeerError);
  for (const std::string &error : errors)
    CHECK(error.find("the plans differ") != std::string::npos);
}

TEST_CASE("a transfer that is given up touches nothing afterwards") {
  InProcessWorld world(2);
  std::vector<int> stays(1, 5), comes(1, 9);
  world.at(0).post(
      {.hop = 0, .channel = Channel::Keys, .sends = {}, .receives = {{1, writable(stays)}}});
  auto send = world.at(1).post(
      {.hop = 0, .channel = Channel::Keys, .sends = {{0, bytesOf(comes)}}, .receives = {}});
  CHECK(stays[0] == 5);
}

TEST_CASE("what is borrowed lies where its owner has it, until it is given back") {
  constexpr int size = 3;
  InProcessWorld world(size);
  CHECK(world.at(0).lends());
  std::vector<std::vector<int>> own = numbersOfRanks(size);
  runRanks(world, [&](int rank) {
    Transport &self = world.at(rank);
    std::vector<int> &mine = own[size_t(rank)];
    Exchange exchange;
    for (int peer = 0; peer < size; ++peer)
      if (peer != rank) {
        exchange.sends.push_back({peer, bytesOf(mine)});
        exchange.borrows.push_back({peer, mine.size() * sizeof(int)});
      }
    auto transfer = self.post(exchange);
    std::vector<std::span<std::byte>> parts = transfer->borrowed();
    REQUIRE(parts.size() == size - 1);
    std::this_thread::sleep_for(rank * 20ms); // the others must not write meanwhile
    for (size_t i = 0; i < parts.size(); ++i) {
      int peer = exchange.borrows[i].peer;
      CHECK(static_cast<const void *>(parts[i].data()) == own[size_t(peer)].data());
      CHECK(reinterpret_cast<const int *>(parts[i].data())[1] == 10 + peer);
    }
    transfer->wait();
    mine = {-1, -1};
    CHECK(self.sentBytes() == int64_t(2 * 2 * sizeof(int)));
    CHECK(self.receivedBytes() == self.sentBytes());
  });
}

TEST_CASE("what is lent to be added to is changed where its owner has it, and back by the end of "
          "the wait") {
  constexpr int size = 3;
  InProcessWorld world(size);
  std::vector<std::vector<int>> own = numbersOfRanks(size);
  runRanks(world, [&](int rank) {
    Transport &self = world.at(rank);
    std::vector<int> &mine = own[size_t(rank)];
    std::span<std::byte> memory = writable(mine);
    for (int hop = 1; hop < size; ++hop) {
      int adder = (rank + hop) % size, owner = (rank + size - hop) % size;
      auto transfer = self.post({.hop = hop,
                                 .channel = Channel::Gradients,
                                 .loans = {{adder, memory}},
                                 .borrows = {{owner, memory.size(), BorrowPart::Use::Add}}});
      std::vector<std::span<std::byte>> parts = transfer->borrowed();
      REQUIRE(parts.size() == 1);
      REQUIRE(static_cast<void *>(parts[0].data()) == own[size_t(owner)].data());
      std::this_thread::sleep_for(rank * 10ms); // the owner waits for the slowest
      reinterpret_cast<int *>(parts[0].data())[1] += 100;
      transfer->giveBack();
      transfer->wait();
    }
    CHECK(mine == std::vector<int>{rank, 210 + rank});
    CHECK(self.sentBytes() == int64_t(2 * memory.size()));
    CHECK(self.receivedBytes() == self.sentBytes());
  });
}

TEST_CASE("who sends to a peer that lends, or adds to what a peer receives, is told so") {
  for (bool lends : {false, true}) {
    InProcessWorld world(2);
    CHECK_THROWS_WITH_AS(runRanks(world,
                                  [&](int rank) {
                                    std::vector<int> own(1);
                                    Exchange exchange;
                                    if (rank == 0 && lends)
                                      exchange.loans = {{1, writable(own)}};
                                    else if (rank == 0)
                                      exchange.receives = {{1, writable(own)}};
                                    else if (lends)
                                      exchange.sends = {{0, bytesOf(own)}};
                                    else
                                      exchange.borrows = {{0, sizeof(int), BorrowPart::Use::Add}};
                                    auto transfer = world.at(rank).post(exchange);
                                    (void)transfer->borrowed();
                                    transfer->wait();
                                  }),
                         doctest::Contains("the plans differ"), PeerError);
  }
}

TEST_CASE("a rank that fails gives back what it borrowed, and gets back what it lent") {
  for (int failing : {0, 1}) {
    InProcessWorld world(2, {.deadline = 60s});
    std::vector<int> own[2] = {{1}, {2}};
    auto start = std::chrono::steady_clock::now();
    CHECK_THROWS_WITH_AS(runRanks(world,
                                  [&](int rank) {
                                    std::unique_ptr<Transfer> transfer = world.at(rank).post(
                                        {.sends = {{1 - rank, bytesOf(own[rank])}},
                                         .receives = {},
                                         .borrows = {{1 - rank, sizeof(int)}}});
                                    (void)transfer->borrowed();
                                    if (rank == failing) {
                                      world.at(rank).abort("no memory left");
                                      throw std::runtime_error("no memory left");
                                    }
                                    transfer->wait();
                                    std::vector<int> never(1);
                                    shift(world.at(rank), 1, own[rank], never)->wait();
                                  }),
                         "no memory left", std::runtime_error);
    CHECK(std::chrono::steady_clock::now() - start < 30s);
  }
}

TEST_CASE("who borrows another number of bytes than is sent is told so") {
  InProcessWorld world(2);
  CHECK_THROWS_WITH_AS(runRanks(world,
                                [&](int rank) {
                                  std::vector<int> own(1);
                                  Exchange exchange;
                                  if (rank == 0)
                                    exchange.sends = {{1, bytesOf(own)}};
                                  else
                                    exchange.borrows = {{0, 8}};
                                  auto transfer = world.at(rank).post(exchange);
                                  (void)transfer->borrowed();
                                  transfer->wait();
                                }),
                       doctest::Contains("the plans differ"), PeerError);
}

TEST_CASE("worlds that cannot be") {
  CHECK_THROWS_AS(InProcessWorld(0), InputError);
  CHECK_THROWS_AS(InProcessWorld(2, {.deadline = 0ms, .beforePost = {}}), InputError);
}
