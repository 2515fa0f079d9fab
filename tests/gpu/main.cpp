// Tests that need a device; exit 77, which ctest calls skipped, where there is none.
//
//   test-gpu [DOCTEST...]              the tests of one process
//   test-gpu rank MODE [DEADLINE_MS]   one rank of nccl_test.py
//   test-gpu devices | nccl            how many devices there are; whether NCCL is there
#define DOCTEST_CONFIG_IMPLEMENT
#include "ringc/Env.h"
#include "ringc/comm/NcclLibrary.h"
#include "ringc/driver/CudaDriver.h"
#include "tests/gpu/Rank.h"

#include <doctest/doctest.h>

#include <exception>
#include <iostream>
#include <string_view>

using namespace ringc;

int main(int argc, char **argv) {
  constexpr int skipped = 77;
  std::string_view command = argc > 1 ? argv[1] : "";
  try {
    Env env = Env::read();
    auto driver = CudaDriver::open(env.cudaLibrary);
    if (command == "devices") {
      std::cout << driver->deviceCount() << '\n';
      return 0;
    }
    if (command == "nccl") {
      auto nccl = NcclLibrary::open(env.ncclLibrary);
      std::cout << "NCCL " << nccl->version() << " in " << nccl->path() << '\n';
      return 0;
    }
    if (command == "rank")
      return test::runRank(argc, argv);
    std::cout << driver->facts(0).describe() << ", CUDA " << driver->cudaVersion() << std::endl;
  } catch (const std::exception &error) {
    std::cout << "skipped: " << error.what() << '\n';
    return skipped;
  }
  return doctest::Context(argc, argv).run();
}
