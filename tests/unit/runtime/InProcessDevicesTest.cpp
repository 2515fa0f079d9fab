// Transports between devices of one process, on the tests' own driver: ranks that are threads, and
// ranks that one thread gives turns.

#include "ringc/comm/InProcessDevices.h"

#include "ringc/comm/InProcess.h"
#include "ringc/driver/CudaMemory.h"
#include "ringc/support/Error.h"
#include "tests/unit/runtime/CudaFake.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <deque>
#include <dlfcn.h>
#include <exception>
#include <functional>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace ringc;
using namespace std::chrono_literals;

namespace {

CudaFake &fakeCuda() {
  void *library = dlopen(RINGC_FAKE_CUDA, RTLD_NOW | RTLD_LOCAL);
  REQUIRE(library != nullptr);
  auto get = reinterpret_cast<CudaFake *(*)()>(dlsym(library, cudaFakeSymbol));
  REQUIRE(bool(get));
  return *get();
}

const InProcessDevicesOptions threads{.callers = InProcessDevicesOptions::Callers::EachRank};

/// Ranks dealt over the devices of a new driver.
struct Machine {
  explicit Machine(int ranks, int devices = 1, const InProcessDevicesOptions &options = threads,
                   unsigned seed = 1) {
    CudaFake &cuda = fakeCuda();
    cuda = {};
    cuda.devices = devices;
    cuda.seed = seed;
    auto driver = CudaDriver::open(RINGC_FAKE_CUDA);
    std::vector<std::shared_ptr<const CudaDevice>> all, ofRanks;
    for (int device = 0; device < devices; ++device)
      all.push_back(std::make_shared<CudaDevice>(driver, device));
    for (int rank = 0; rank < ranks; ++rank)
      ofRanks.push_back(all[size_t(rank % devices)]);
    world.emplace(ofRanks, options);
  }

  /// A thread for each rank, which fails for the others when it throws; what each threw.
  std::vector<std::string> run(const std::function<void(RemoteTransport &)> &body) {
    std::vector<std::string> errors(size_t(world->size()));
    auto start = std::chrono::steady_clock::now();
    try {
      runRanks(*world, [&](int rank) {
        try {
          body(world->at(rank));
        } catch (const std::exception &error) {
          errors[size_t(rank)] = error.what();
          throw;
        }
      });
    } catch (const std::exception &error) {
      first = error.what();
    }
    CHECK(std::chrono::steady_clock::now() - start < 60s);
    return errors;
  }

  std::optional<InProcessDevices> world;
  std::string first; ///< what runRanks threw
};

std::span<std::byte> bytesOf(const DeviceMemory &memory) {
  return {static_cast<std::byte *>(memory.data()), size_t(memory.bytes())};
}

/// What a ring of ranks does at each hop: sends to the right, receives from the left.
Exchange hopOf(const Transport &transport, int hop, std::span<const std::byte> out,
               std::span<std::byte> in) {
  int world = transport.world(), rank = transport.rank();
  return {.hop = hop,
          .channel = Channel::Keys,
          .sends = {{(rank + 1) % world, out}},
          .receives = {{(rank + world - 1) % world, in}}};
}

/// One rank with a stream and a block to send and one to receive.
struct Rank {
  explicit Rank(RemoteTransport &own, int64_t bytes = 64)
      : transport(own), stream(own.device()), out(own.device(), bytes), in(own.device(), bytes) {
    transport.follow(stream);
  }
  std::unique_ptr<Transfer> shift(int hop) {
    return transport.post(hopOf(transport, hop, bytesOf(out), bytesOf(in)));
  }

  RemoteTransport &transport;
  CudaStream stream;
  DeviceMemory out, in;
};

std::vector<std::byte> recordOf(int value) { return std::vector<std::byte>(64, std::byte(value)); }

bool contains(const std::string &text, std::string_view part) {
  return text.find(part) != text.npos;
}

/// Messages of many exchanges, each in some ranks', of random sizes.
struct Traffic {
  struct Message {
    int from, to;
    size_t bytes;
  };

  Traffic(int ranks, int rounds, std::mt19937 &random) {
    for (int round = 0; round < rounds; ++round) {
      std::vector<Message> &messages = exchanges.emplace_back();
      for (size_t count = random() % size_t(2 * ranks); count > 0; --count) {
        int from = int(random() % unsigned(ranks)), shift = 1 + int(random() % unsigned(ranks - 1));
        messages.push_back({from, (from + shift) % ranks, random() % 300});
      }
    }
  }

  std::vector<std::vector<Message>> exchanges;
};

/// Memory of the host for what a rank sends and receives.
struct HostSide {
  explicit HostSide(Transport &) {}
  std::span<std::byte> send(const std::vector<std::byte> &bytes) {
    std::ranges::copy(bytes, memory.emplace_back(bytes.size()).begin());
    return memory.back();
  }
  std::span<std::byte> receive(size_t bytes) { return memory.emplace_back(bytes); }
  void read(std::span<const std::byte> from, std::span<std::byte> to) {
    std::ranges::copy(from, to.begin());
  }
  void overwrite(std::span<std::byte> sent) { std::ranges::fill(sent, std::byte{0xee}); }
  void finish() {}

  std::deque<std::vector<std::byte>> memory;
};

/// Of a device, used in the order of a stream.
struct DeviceSide {
  explicit DeviceSide(RemoteTransport &own) : transport(own), stream(own.device()) {
    transport.follow(stream);
  }
  std::span<std::byte> send(const std::vector<std::byte> &bytes) {
    std::span<std::byte> room = receive(bytes.size());
    stream.upload(room.data(), bytes.data(), int64_t(bytes.size()));
    return room;
  }
  /// Somebody else's until the stream comes here.
  std::span<std::byte> receive(size_t bytes) {
    std::span<std::byte> room = bytesOf(memory.emplace_back(stream.device(), int64_t(bytes)));
    stream.clear(room.data(), int64_t(bytes));
    return room;
  }
  void read(std::span<const std::byte> from, std::span<std::byte> to) {
    stream.download(to.data(), from.data(), int64_t(from.size()));
  }
  void overwrite(std::span<std::byte> sent) {
    stream.fill(sent.data(), 0xeeeeeeee, int64_t(sent.size() / 4));
  }
  void finish() { transport.wait(stream); }

  RemoteTransport &transport;
  CudaStream stream;
  std::deque<DeviceMemory> memory;
};

/// What a rank received, in its order; waits late and in any order.
template <typename Side, typename OfRank>
std::vector<std::vector<std::byte>> play(OfRank &transport, const Traffic &traffic, unsigned seed) {
  struct Open {
    std::unique_ptr<Transfer> transfer;
    std::vector<std::span<std::byte>> sent, received;
    std::vector<std::vector<std::byte> *> results;
  };
  std::mt19937 random(seed + unsigned(transport.rank()));
  Side side(transport);
  std::deque<std::vector<std::byte>> results;
  std::vector<Open> open;
  auto waitForSome = [&](size_t left) {
    while (open.size() > left) {
      auto chosen = open.begin() + ptrdiff_t(random() % open.size());
      chosen->transfer->wait();
      for (size_t i = 0; i < chosen->received.size(); ++i)
        side.read(chosen->received[i], *chosen->results[i]);
      for (std::span<std::byte> each : chosen->sent)
        side.overwrite(each);
      open.erase(chosen);
    }
  };
  for (size_t round = 0; round < traffic.exchanges.size(); ++round) {
    Open &next = open.emplace_back();
    Exchange exchange{.hop = int(round), .channel = Channel::Keys, .sends = {}, .receives = {}};
    for (size_t at = 0; at < traffic.exchanges[round].size(); ++at) {
      const auto &[from, to, bytes] = traffic.exchanges[round][at];
      if (from == transport.rank()) {
        next.sent.push_back(
            side.send(std::vector<std::byte>(bytes, std::byte(7 * round + 31 * at))));
        exchange.sends.push_back({to, next.sent.back()});
      } else if (to == transport.rank()) {
        next.received.push_back(side.receive(bytes));
        next.results.push_back(&results.emplace_back(bytes));
        exchange.receives.push_back({from, next.received.back()});
      }
    }
    next.transfer = transport.post(exchange);
    if (random() % 3 == 0)
      std::this_thread::yield();
    waitForSome(random() % 5);
  }
  waitForSome(0);
  side.finish();
  return {results.begin(), results.end()};
}

} // namespace

TEST_CASE("threads on devices receive what threads on the host do, whatever they exchange") {
  unsigned seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937 random(seed);
  for (int ranks = 2; ranks <= 5; ++ranks)
    for (int devices = 1; devices <= 3; ++devices) {
      CAPTURE(ranks);
      CAPTURE(devices);
      Traffic traffic(ranks, 60, random);
      std::vector<std::vector<std::vector<std::byte>>> onHost(static_cast<size_t>(ranks)),
          onDevices = onHost;
      InProcessWorld host(ranks);
      runRanks(host, [&](int rank) {
        onHost[size_t(rank)] = play<HostSide>(host.at(rank), traffic, seed);
      });
      Machine machine(ranks, devices, threads, unsigned(random()));
      auto errors = machine.run([&](RemoteTransport &transport) {
        onDevices[size_t(transport.rank())] = play<DeviceSide>(transport, traffic, seed);
      });
      CHECK(errors == std::vector<std::string>(size_t(ranks)));
      CHECK(onDevices == onHost);
      for (int rank = 0; rank < ranks; ++rank) {
        CHECK(machine.world->at(rank).sentBytes() == host.at(rank).sentBytes());
        CHECK(machine.world->at(rank).receivedBytes() == host.at(rank).receivedBytes());
      }
    }
}

TEST_CASE("a thread waits for the post of a peer, and for nothing that runs on the device") {
  Machine machine(3);
  auto errors = machine.run([](RemoteTransport &transport) {
    Rank rank(transport);
    for (int hop = 0; hop < 200; ++hop) {
      rank.stream.fill(rank.out.data(), uint32_t(100 * hop + transport.rank()), 16);
      if (hop % 50 == 20 + transport.rank())
        std::this_thread::sleep_for(2ms);
      rank.shift(hop)->wait();
      std::swap(rank.in, rank.out);
    }
    std::array<uint32_t, 16> got{};
    rank.stream.download(got.data(), rank.out.data(), 64);
    transport.wait(rank.stream);
    CHECK(got[15] == uint32_t(19900 + (transport.rank() + 2) % 3));
  });
  CHECK(errors == std::vector<std::string>(3));
  CHECK(std::ranges::count(fakeCuda().calls, "cuStreamSynchronize") == 3); // their ends
  CHECK(std::ranges::count(fakeCuda().calls, "cuEventSynchronize") == 0);
}

TEST_CASE("ranks of any number gather what they say, beside other rings") {
  Machine machine(5, 2);
  auto errors = machine.run([](RemoteTransport &transport) {
    int rank = transport.rank();
    std::vector<int> ring = rank % 2 == 0 ? std::vector{4, 0, 2} : std::vector{1, 3};
    std::vector<int> all = {0, 1, 2, 3, 4}, alone = {rank};
    for (int round = 0; round < 100; ++round)
      for (const std::vector<int> &ranks : {ring, all, alone}) {
        int said = 10 * round + rank;
        auto heard = transport.gather(ranks, std::as_bytes(std::span(&said, 1)));
        REQUIRE(heard.size() == ranks.size());
        for (size_t place = 0; place < ranks.size(); ++place) {
          int value = 0;
          std::memcpy(&value, heard[place].data(), sizeof value);
          CHECK(value == 10 * round + ranks[place]);
        }
      }
    CHECK(transport.gather(all, {})[3].empty());
  });
  CHECK(errors == std::vector<std::string>(5));
}

TEST_CASE("ranks that announce the same go on; one that announces another thing ends all") {
  for (int odd : {-1, 0, 2}) {
    CAPTURE(odd);
    Machine machine(4);
    auto errors = machine.run([&](RemoteTransport &transport) {
      if (transport.rank() == 3) // no part of the ring
        return;
      std::array<int, 3> ring = {0, 1, 2};
      Rank rank(transport);
      for (int call = 0; call < 300; ++call) {
        bool differs = call == 299 && transport.rank() == odd;
        std::unique_ptr<Transfer> announced =
            transport.announce(ring, recordOf(differs ? 1 : 2), nullptr);
        announced->wait();
        transport.check();
      }
      transport.wait(rank.stream);
    });
    CHECK(errors[3].empty());
    for (int rank = 0; rank < 3; ++rank)
      CHECK(errors[size_t(rank)].empty() == (odd < 0));
    CHECK(machine.first.empty() == (odd < 0));
    if (odd >= 0)
      CHECK(contains(machine.first, announcedOtherwise));
  }
}

TEST_CASE("threads that are in different calls learn it, and do not wait for each other") {
  Machine machine(2);
  auto errors = machine.run([](RemoteTransport &transport) {
    std::array<int, 2> both = {0, 1};
    Rank rank(transport);
    if (transport.rank() == 0)
      (void)transport.gather(both, recordOf(1));
    else
      rank.shift(0)->wait();
  });
  CHECK(contains(machine.first, ": the plans differ: 64 bytes of "));
  for (const std::string &error : errors)
    CHECK(contains(error, "64 bytes of the host's plans at hop 0"));
}

TEST_CASE("plans of threads that do not fit are an error on both sides") {
  for (bool longer : {false, true}) {
    Machine machine(2, 2);
    auto errors = machine.run([&](RemoteTransport &transport) {
      Rank rank(transport, longer && transport.rank() == 1 ? 128 : 64);
      rank.shift(longer ? 0 : transport.rank())->wait();
    });
    for (const std::string &error : errors)
      CHECK(contains(error, "the plans differ: "));
  }
}

TEST_CASE("a thread that fails ends what the others wait for, and its own error comes out") {
  std::array<int, 3> all = {0, 1, 2};
  std::vector<std::function<void(Rank &)>> waits = {
      [&](Rank &rank) { rank.shift(1)->wait(); },
      [&](Rank &rank) { (void)rank.transport.gather(all, recordOf(1)); },
      [&](Rank &rank) { rank.transport.announce(all, recordOf(1), nullptr)->wait(); }};
  for (const auto &wait : waits) {
    Machine machine(3);
    auto errors = machine.run([&](RemoteTransport &transport) {
      Rank rank(transport);
      rank.shift(0)->wait();
      if (transport.rank() == 2)
        throw std::runtime_error("no memory left");
      wait(rank);
    });
    CHECK(machine.first == "no memory left");
    CHECK(machine.world->firstToFail() == 2);
    for (int rank : {0, 1})
      CHECK(contains(errors[size_t(rank)], ": rank 2 failed: no memory left"));
    // And stays failed, at once.
    RemoteTransport &later = machine.world->at(1);
    Rank rank(later);
    CHECK_THROWS_WITH_AS(rank.shift(7),
                         "rank 1: hop 7, keys, peer 2: rank 2 failed: no memory left", PeerError);
    CHECK_THROWS_AS(later.check(), PeerError);
    CHECK_THROWS_AS(later.wait(rank.stream), PeerError);
    CHECK_THROWS_AS((void)later.gather(all, recordOf(1)), PeerError);
    CHECK_THROWS_AS((void)later.announce(all, recordOf(1), nullptr), PeerError);
  }
}

TEST_CASE("the error of the first thread to fail comes out, however late it unwinds") {
  for (int round = 0; round < 50; ++round) {
    Machine machine(4);
    (void)machine.run([&](RemoteTransport &transport) {
      Rank rank(transport);
      if (transport.rank() == 2) {
        transport.abort("the cause");
        std::this_thread::sleep_for(1ms);
        throw std::runtime_error("the cause");
      }
      rank.shift(0)->wait();
    });
    CHECK(machine.first == "the cause");
  }
}

TEST_CASE("a peer beyond the deadline is an error that names hop and peer") {
  InProcessDevicesOptions options = threads;
  options.deadline = 100ms;
  Machine machine(3, 1, options);
  auto errors = machine.run([](RemoteTransport &transport) {
    Rank rank(transport);
    if (transport.rank() > 0) // rank 0 never comes
      rank.shift(5)->wait();
  });
  CHECK(errors[0].empty());
  for (int rank : {1, 2})
    CHECK(
        errors[size_t(rank)].starts_with("rank " + std::to_string(rank) + ": hop 5, keys, peer "));
  CHECK(contains(machine.first, ", peer 0: nothing came within 100 ms"));
}

TEST_CASE("a transfer that a thread gives up touches nothing afterwards") {
  Machine machine(2);
  std::deque<Rank> ranks;
  for (int rank : {0, 1}) {
    Rank &made = ranks.emplace_back(machine.world->at(rank));
    made.stream.fill(made.out.data(), uint32_t(10 + rank), 16);
    made.stream.fill(made.in.data(), 5, 16);
    made.stream.synchronize();
  }
  auto received = [&](int rank) {
    return *static_cast<const uint32_t *>(ranks[size_t(rank)].in.data());
  };
  (void)ranks[0].shift(0); // before the other end comes: it moves nothing
  std::unique_ptr<Transfer> alone = ranks[1].shift(0);
  CHECK(received(0) == 5);
  CHECK(received(1) == 5);
  (void)ranks[0].shift(0); // behind it: the copies are over
  CHECK(received(0) == 11);
  CHECK(received(1) == 10);
  alone->wait();
}

TEST_CASE("a copy that a device does not take ends all threads") {
  Machine machine(3);
  fakeCuda().failing = "cuMemcpyDtoDAsync";
  fakeCuda().failure = CudaResult(700);
  auto errors = machine.run([](RemoteTransport &transport) {
    Rank rank(transport);
    rank.shift(0)->wait();
  });
  fakeCuda().failing.clear();
  CHECK(contains(machine.first, "cuMemcpyDtoDAsync of 64 bytes"));
  for (const std::string &error : errors)
    CHECK(contains(error, "cuMemcpyDtoDAsync of 64 bytes"));
}

TEST_CASE("threads on devices cannot be captured, which all of them learn") {
  Machine machine(2);
  auto errors = machine.run([](RemoteTransport &transport) {
    Rank rank(transport);
    auto exchange = [&] { rank.shift(0)->wait(); };
    if (transport.rank() == 0)
      (void)rank.stream.capture(exchange);
    else
      exchange();
  });
  CHECK(machine.first.starts_with("stream: got one that is captured, allowed: one that runs"));
  CHECK(errors[0] == machine.first);
  CHECK(contains(errors[1], "rank 0 failed: stream: got one that is captured"));
}

TEST_CASE("ranks of one thread take turns, and never wait for themselves") {
  Machine machine(2, 1, {});
  Rank first(machine.world->at(0)), second(machine.world->at(1));
  first.stream.fill(first.out.data(), 7, 16);
  std::unique_ptr<Transfer> sent = first.shift(0);
  CHECK_THROWS_WITH_AS(sent->wait(),
                       "rank 0: hop 0, keys, peer 1: the other end of a message is not posted: the "
                       "ranks of a thread take turns",
                       PeerError);
  std::unique_ptr<Transfer> received = second.shift(0);
  sent->wait();
  received->wait();
  uint32_t got = 0;
  second.stream.download(&got, second.in.data(), 4);
  second.stream.synchronize();
  CHECK(got == 7);
  std::array<int, 2> both = {0, 1};
  CHECK_THROWS_AS((void)machine.world->at(0).gather(both, recordOf(1)), PeerError);
}

TEST_CASE("worlds of devices that cannot be") {
  CHECK_THROWS_AS(InProcessDevices({}), InputError);
  InProcessDevicesOptions options = threads;
  options.deadline = 0ms;
  Machine machine(1);
  CHECK_THROWS_AS(InProcessDevices({machine.world->at(0).device()}, options), InputError);
}
