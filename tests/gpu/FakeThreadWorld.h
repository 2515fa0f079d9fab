#pragma once

#include "ringc/comm/InProcessDevices.h"
#include "tests/gpu/FakeNcclWorld.h"

#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace ringc::test {

/// As NcclWorld, but ranks of one process, two of which share a device where there are three.
struct ThreadWorld {
  explicit ThreadWorld(int ranks) {
    std::vector<DeviceContext> all = fakeWorld(2);
    std::vector<std::shared_ptr<const CudaDevice>> ofRanks;
    for (int rank = 0; rank < ranks; ++rank) {
      devices.push_back(all[size_t(rank % 2)]);
      ofRanks.push_back(devices.back().device);
    }
    world.emplace(ofRanks,
                  InProcessDevicesOptions{.callers = InProcessDevicesOptions::Callers::EachRank,
                                          .deadline = std::chrono::minutes(2)});
  }

  std::vector<std::string> run(const std::function<void(int rank, RemoteTransport &)> &body) {
    std::vector<std::string> errors(devices.size(), "nothing thrown");
    try {
      runRanks(*world, [&](int rank) {
        try {
          body(rank, world->at(rank));
        } catch (const std::exception &error) {
          errors[size_t(rank)] = error.what();
          throw;
        }
      });
    } catch (const std::exception &) { // one of `errors`
      return errors;
    }
    return errors;
  }

  std::vector<DeviceContext> devices; ///< by rank
  std::optional<InProcessDevices> world;
};

} // namespace ringc::test
