// The transport over NCCL, on the tests' own NCCL and driver.

#include "ringc/comm/Nccl.h"

#include "ringc/driver/CudaMemory.h"
#include "ringc/support/Error.h"
#include "tests/unit/runtime/CudaFake.h"
#include "tests/unit/runtime/NcclFake.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <dlfcn.h>
#include <exception>
#include <functional>
#include <string>
#include <thread>

using namespace ringc;
using namespace std::chrono_literals;

namespace {

template <typename Fake> Fake &fakeIn(const char *file, const char *symbol) {
  void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
  REQUIRE(library != nullptr);
  auto get = reinterpret_cast<Fake *(*)()>(dlsym(library, symbol));
  REQUIRE(bool(get));
  return *get();
}
NcclFake &fakeNccl() { return fakeIn<NcclFake>(RINGC_FAKE_NCCL, ncclFakeSymbol); }

/// One test's driver and NCCL, a device for each rank.
struct Machine {
  explicit Machine(int ranks) {
    CudaFake &cuda = fakeIn<CudaFake>(RINGC_FAKE_CUDA, cudaFakeSymbol);
    cuda = {};
    cuda.devices = ranks;
    fakeNccl() = {};
    auto driver = CudaDriver::open(RINGC_FAKE_CUDA);
    for (int rank = 0; rank < ranks; ++rank)
      devices.push_back(std::make_shared<CudaDevice>(driver, rank));
    library = NcclLibrary::open(RINGC_FAKE_NCCL);
    library->check(library->functions().getUniqueId(&id), "ncclGetUniqueId");
  }

  /// A thread for each rank; what each threw.
  std::vector<std::string> run(int world, const NcclOptions &options,
                               const std::function<void(NcclTransport &)> &body, int first = 0) {
    std::vector<std::string> errors(static_cast<size_t>(world));
    std::vector<std::jthread> threads;
    for (int rank = first; rank < world; ++rank)
      threads.emplace_back([&, rank] {
        try {
          NcclTransport transport(library, devices[size_t(rank)], rank, world, id, options);
          body(transport);
        } catch (const std::exception &error) {
          errors[size_t(rank)] = error.what();
        }
      });
    threads.clear();
    return errors;
  }

  std::vector<std::shared_ptr<const CudaDevice>> devices; ///< by rank
  std::shared_ptr<const NcclLibrary> library;
  NcclUniqueId id{};
};

std::span<std::byte> bytesOf(const DeviceMemory &memory) {
  return {static_cast<std::byte *>(memory.data()), size_t(memory.bytes())};
}

/// What a ring of ranks does at each hop: sends to the right, receives from the left.
Exchange hopOf(const NcclTransport &transport, int hop, const DeviceMemory &out,
               const DeviceMemory &in) {
  int world = transport.world(), rank = transport.rank();
  return {.hop = hop,
          .channel = Channel::Keys,
          .sends = {{(rank + 1) % world, bytesOf(out)}},
          .receives = {{(rank + world - 1) % world, bytesOf(in)}}};
}

} // namespace

TEST_CASE("messages move in the order of streams, with the host waiting for nothing") {
  Machine machine(3);
  auto errors = machine.run(3, {}, [](NcclTransport &transport) {
    CudaStream stream(transport.device());
    DeviceMemory out(transport.device(), 64), in(transport.device(), 64);
    transport.follow(stream);
    for (int hop = 0; hop < 5; ++hop) {
      stream.clear(out.data(), 64);
      stream.fill(out.data(), uint32_t(100 * hop + transport.rank()), 16);
      transport.post(hopOf(transport, hop, out, in))->wait();
      std::array<uint32_t, 16> got{};
      stream.download(got.data(), in.data(), 64);
      transport.wait(stream);
      CHECK(got[15] == uint32_t(100 * hop + (transport.rank() + 2) % 3));
    }
    CHECK(transport.sentBytes() == 5 * 64);
    CHECK(transport.receivedBytes() == 5 * 64);
  });
  for (const std::string &error : errors)
    CHECK(error.empty());
  CHECK(fakeNccl().liveCommunicators == 0);
}

TEST_CASE("ranks learn what the others say") {
  Machine machine(4);
  auto errors = machine.run(4, {}, [](NcclTransport &transport) {
    if (transport.rank() == 0) // the ring of ranks 1, 2, 3
      return;
    std::array<int, 3> ring = {1, 2, 3};
    int said = 10 * transport.rank();
    auto heard = transport.gather(ring, std::as_bytes(std::span(&said, 1)));
    REQUIRE(heard.size() == 3);
    for (int place = 0; place < 3; ++place) {
      int value = 0;
      std::memcpy(&value, heard[size_t(place)].data(), sizeof value);
      CHECK(value == 10 * (place + 1));
    }
  });
  for (const std::string &error : errors)
    CHECK(error.empty());
}

TEST_CASE("a rank that does not post is an error of its neighbours, which names hop and peer") {
  Machine machine(2);
  auto begin = std::chrono::steady_clock::now();
  auto errors = machine.run(2, {.deadline = 300ms}, [](NcclTransport &transport) {
    CudaStream stream(transport.device());
    DeviceMemory out(transport.device(), 64), in(transport.device(), 64);
    transport.follow(stream);
    stream.clear(out.data(), 64);
    transport.post(hopOf(transport, 0, out, in))->wait();
    if (transport.rank() == 1) {
      std::this_thread::sleep_for(1s);
      return;
    }
    transport.post(hopOf(transport, 1, out, in))->wait();
    CHECK_THROWS_AS(transport.wait(stream), PeerError);
    CHECK(stream.isIdle()); // the device is free
    CHECK_THROWS_AS(transport.check(), PeerError);
    (void)transport.post(hopOf(transport, 2, out, in));
  });
  CHECK(std::chrono::steady_clock::now() - begin < 5s);
  CHECK(errors[0] == "rank 0: hop 1, keys, peer 1: nothing came within 300 ms");
  CHECK(fakeNccl().liveCommunicators == 0);

  SUBCASE("another can be made in the same process") {
    machine.library->check(machine.library->functions().getUniqueId(&machine.id), "id");
    auto again = machine.run(2, {}, [](NcclTransport &transport) {
      CudaStream stream(transport.device());
      DeviceMemory out(transport.device(), 64), in(transport.device(), 64);
      transport.follow(stream);
      stream.clear(out.data(), 64);
      transport.post(hopOf(transport, 0, out, in))->wait();
      transport.wait(stream);
    });
    CHECK(again == std::vector<std::string>(2));
  }
}

TEST_CASE("an error that NCCL reports behind the caller's back") {
  Machine machine(2);
  auto errors = machine.run(2, {.deadline = 2s}, [](NcclTransport &transport) {
    CudaStream stream(transport.device());
    DeviceMemory out(transport.device(), 64), in(transport.device(), 64);
    transport.follow(stream);
    stream.clear(out.data(), 64);
    if (transport.rank() == 1) {
      std::this_thread::sleep_for(500ms);
      return;
    }
    transport.post(hopOf(transport, 0, out, in))->wait();
    fakeNccl().failure = NcclResult::RemoteError;
    fakeNccl().failingRank = 0;
    transport.wait(stream);
  });
  CHECK(errors[0] == "rank 0: hop 0, keys, peer 1: NCCL: ncclRemoteError: something went wrong");
}

TEST_CASE("ranks that never come") {
  Machine machine(2);
  auto errors =
      machine.run(2, {.deadline = 100ms}, [](NcclTransport &) { FAIL("came"); }, /*first=*/1);
  CHECK(errors[1] == "ncclCommInitRankConfig of rank 1 of 2: not all ranks came within 100 ms");
  CHECK(fakeNccl().liveCommunicators == 0);
}

TEST_CASE("a rank that gives up frees its device, and says why ever after") {
  Machine machine(1);
  auto errors = machine.run(1, {}, [](NcclTransport &transport) {
    transport.abort("no memory");
    transport.check();
  });
  CHECK(errors[0] == "rank 0: hop 0, plans, peer 0: this rank failed: no memory");
}

TEST_CASE("a failure is no hang where graphs are that were captured, and the rest ends with them") {
  Machine machine(1);
  fakeNccl().graphs = 1;
  auto errors = machine.run(1, {}, [](NcclTransport &transport) {
    transport.abort("no memory");
    CHECK(fakeNccl().liveCommunicators == 1);
    std::atomic_ref(fakeNccl().graphs) = 0;
    transport.check();
  });
  CHECK(errors[0] == "rank 0: hop 0, plans, peer 0: this rank failed: no memory");
  CHECK(fakeNccl().liveCommunicators == 0);
}

TEST_CASE("a communicator of the user's is used, and left alone") {
  Machine machine(2);
  const NcclFunctions &functions = machine.library->functions();
  auto use = [&](int rank) {
    NcclComm theirs = nullptr;
    REQUIRE(functions.commInitRank(&theirs, 2, machine.id, rank) == NcclResult::Success);
    const auto &device = machine.devices[size_t(rank)];
    CudaStream stream(device);
    DeviceMemory out(device, 64), in(device, 64);
    auto hears = [&](uint32_t said) {
      std::array<uint32_t, 16> got{};
      stream.download(got.data(), in.data(), 64);
      stream.synchronize();
      CHECK(got[15] == said);
    };
    for (uint32_t again = 1; again < 3; ++again) {
      {
        NcclTransport transport(machine.library, device, theirs);
        CHECK(transport.rank() == rank);
        CHECK(transport.world() == 2);
        transport.follow(stream);
        stream.fill(out.data(), 10 * again + uint32_t(rank), 16);
        transport.post(hopOf(transport, 0, out, in))->wait();
        transport.wait(stream);
        hears(10 * again + uint32_t(1 - rank));
      }
      stream.fill(out.data(), 100 * again + uint32_t(rank), 16);
      CHECK(functions.groupStart() == NcclResult::Success);
      functions.receive(in.data(), 64, NcclType::Int8, 1 - rank, theirs, stream.handle());
      functions.send(out.data(), 64, NcclType::Int8, 1 - rank, theirs, stream.handle());
      CHECK(functions.groupEnd() == NcclResult::Success);
      hears(100 * again + uint32_t(1 - rank));
    }
    functions.commDestroy(theirs);
  };
  {
    std::jthread other(use, 1);
    use(0);
  }
  CHECK(std::ranges::count(fakeNccl().calls, "ncclCommDestroy") == 2);
  CHECK(std::ranges::count(fakeNccl().calls, "ncclCommFinalize") == 0);
  CHECK(std::ranges::count(fakeNccl().calls, "ncclCommAbort") == 0);
}

TEST_CASE("a communicator of another device is refused, and left alone") {
  Machine machine(2);
  NcclComm theirs = nullptr;
  const NcclFunctions &functions = machine.library->functions();
  REQUIRE(functions.commInitRank(&theirs, 1, machine.id, 0) == NcclResult::Success);
  CHECK_THROWS_WITH_AS(
      NcclTransport(machine.library, machine.devices[1], theirs),
      ("communicator: got of device 0, allowed: of " + machine.devices[1]->facts().describe())
          .c_str(),
      InputError);
  CHECK(fakeNccl().liveCommunicators == 1);
  functions.commDestroy(theirs);
}

TEST_CASE("what cannot be is refused") {
  Machine machine(1);
  CHECK_THROWS_WITH_AS(NcclTransport(machine.library, machine.devices[0], 3, 2, machine.id),
                       "rank: got 3, allowed: 0 to 1", InputError);
  CHECK_THROWS_WITH_AS(
      NcclTransport(machine.library, machine.devices[0], 0, 1, machine.id, {.deadline = 0ms}),
      "deadline: got 0 ms, allowed: above 0", InputError);
}
