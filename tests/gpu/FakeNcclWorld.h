#pragma once

#include "ringc/comm/Nccl.h"
#include "tests/gpu/FakeWorld.h"

#include <doctest/doctest.h>

#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace ringc::test {

template <typename Body> std::string messageOf(Body &&body) {
  try {
    body();
  } catch (const std::exception &error) {
    return error.what();
  }
  return "nothing thrown";
}

/// Each rank a thread with a device of its own, over NCCL; what each threw.
struct NcclWorld {
  explicit NcclWorld(int ranks) : devices(fakeWorld(3)) {
    REQUIRE(ranks <= 3);
    devices.resize(size_t(ranks));
    library = NcclLibrary::open(RINGC_FAKE_NCCL);
    library->check(library->functions().getUniqueId(&id), "ncclGetUniqueId");
  }

  std::vector<std::string> run(const std::function<void(int rank, NcclTransport &)> &body) {
    std::vector<std::string> errors(devices.size());
    std::vector<std::jthread> threads;
    for (size_t rank = 0; rank < devices.size(); ++rank)
      threads.emplace_back([&, rank] {
        errors[rank] = messageOf([&] {
          NcclTransport transport(library, devices[rank].device, int(rank), int(devices.size()), id,
                                  {.deadline = std::chrono::seconds(2)});
          body(int(rank), transport);
        });
      });
    threads.clear();
    return errors;
  }

  std::vector<DeviceContext> devices;
  std::shared_ptr<const NcclLibrary> library;
  NcclUniqueId id{};
};

} // namespace ringc::test
