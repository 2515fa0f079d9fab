#include "runtime/comm/Bootstrap.h"

#include "runtime/Env.h"
#include "runtime/Error.h"
#include "runtime/comm/Socket.h"

#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

using namespace ringc;
using namespace std::chrono_literals;

namespace {

Env launched() {
  Env env;
  env.rank = "3";
  env.worldSize = "8";
  env.localRank = "1";
  env.masterAddress = "10.0.0.1";
  env.masterPort = "1234";
  return env;
}

/// Ports of this machine that nobody uses are not known in advance: one a test, far from others'.
constexpr uint16_t freePort = 29417;

template <typename Body> std::string messageOf(Body &&body) {
  try {
    body();
  } catch (const std::exception &error) {
    return error.what();
  }
  return "nothing thrown";
}

} // namespace

TEST_CASE("a process knows its rank from its launcher") {
  CHECK_FALSE(ProcessRank::of({}).has_value());
  ProcessRank process = *ProcessRank::of(launched());
  CHECK(process.rank == 3);
  CHECK(process.world == 8);
  CHECK(process.localRank == 1);
  CHECK(process.masterAddress == "10.0.0.1");
  CHECK(process.masterPort == 1234);
  Env torchrun = launched();
  torchrun.torchrun = "none";
  CHECK(ProcessRank::of(torchrun)->masterPort == 1235);
}

TEST_CASE("srun names no master: rank 0 is on the step's first host") {
  Env env;
  env.rank = "1";
  env.worldSize = "4";
  auto addressOf = [&](const char *nodes) {
    env.slurmNodes = nodes;
    return ProcessRank::of(env)->masterAddress;
  };
  CHECK(addressOf("gpu07,gpu09") == "gpu07");
  CHECK(addressOf("gpu[007-015,020],big1") == "gpu007");
  CHECK(addressOf("gpu[7,9]") == "gpu7");
  CHECK(addressOf("rack[2-3]-gpu") == "rack2-gpu");
  CHECK(addressOf("rack2-gpu[2-3],b") == "rack2-gpu2");
  CHECK(addressOf("gpu[") == "gpu");
  SUBCASE("one host may not know itself by that name") { CHECK(addressOf("gpu07") == "127.0.0.1"); }
  SUBCASE("mpirun is asked first") {
    env.mpiProcesses = "4";
    CHECK(addressOf("gpu[7,9]") == "127.0.0.1");
  }
  SUBCASE("the user even before it") {
    env.masterAddress = "10.0.0.1";
    CHECK(addressOf("gpu[7,9]") == "10.0.0.1");
  }
}

TEST_CASE("variables that cannot be are named") {
  Env env = launched();
  env.rank = "8";
  CHECK(messageOf([&] { ProcessRank::of(env); }) == "RANK: got 8, allowed: 0 to 7");
  env = launched();
  env.worldSize = "two";
  CHECK(messageOf([&] { ProcessRank::of(env); }) ==
        "WORLD_SIZE: got two, allowed: 1 to 2147483647");
  env = launched();
  env.masterPort = "70000";
  CHECK(messageOf([&] { ProcessRank::of(env); }) == "MASTER_PORT: got 70000, allowed: 1 to 65534");
}

TEST_CASE("all ranks get rank 0's id, whoever comes first, and strangers do not disturb") {
  auto library = NcclLibrary::open(RINGC_FAKE_NCCL);
  constexpr int world = 4;
  std::vector<NcclUniqueId> ids(world);
  {
    std::vector<std::jthread> ranks;
    for (int rank = world - 1; rank >= 0; --rank) {
      ranks.emplace_back([&, rank] {
        ids[size_t(rank)] =
            shareUniqueId(*library, {.rank = rank, .world = world, .masterPort = freePort}, 20s);
      });
      std::this_thread::sleep_for(20ms);
    }
    auto end = std::chrono::steady_clock::now() + 1s;
    if (auto stranger = Socket::connect("127.0.0.1", freePort, end))
      (void)stranger->send("GET / HTTP/1.1\r\n\r\n", 18, end);
  }
  CHECK(ids[0].bytes[0] != 0);
  for (const NcclUniqueId &id : ids)
    CHECK(id.bytes == ids[0].bytes);
}

TEST_CASE("who does not come is named within the deadline") {
  auto library = NcclLibrary::open(RINGC_FAKE_NCCL);
  CHECK(messageOf([&] {
          shareUniqueId(*library, {.rank = 0, .world = 3, .masterPort = freePort + 1}, 100ms);
        }) == "rank 0 at 127.0.0.1:29418: these ranks of 3 did not come in time: 1, 2");
  CHECK(messageOf([&] {
          shareUniqueId(*library, {.rank = 2, .world = 3, .masterPort = freePort + 2}, 100ms);
        }) == "rank 2 of 3: rank 0 did not answer in time at 127.0.0.1:29419");
}

TEST_CASE("an address that is none, a port that is taken") {
  auto library = NcclLibrary::open(RINGC_FAKE_NCCL);
  CHECK(messageOf([&] {
          shareUniqueId(*library, {.rank = 1, .world = 2, .masterAddress = "no such host"}, 100ms);
        }).starts_with("MASTER_ADDR: got no such host ("));
  Socket taken = Socket::listen("127.0.0.1", freePort + 3);
  CHECK(messageOf([&] {
          shareUniqueId(*library, {.rank = 0, .world = 2, .masterPort = freePort + 3}, 100ms);
        }) == "MASTER_PORT: got 29420 (Address already in use), allowed: a port that nobody uses");
}
