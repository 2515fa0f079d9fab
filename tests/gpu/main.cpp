// Tests that need a device; exit 77, which ctest calls skipped, where there is none.
#define DOCTEST_CONFIG_IMPLEMENT
#include "runtime/Env.h"
#include "runtime/driver/CudaDriver.h"

#include <doctest/doctest.h>

#include <iostream>

int main(int argc, char **argv) {
  try {
    auto driver = ringc::CudaDriver::open(ringc::Env::read().cudaLibrary);
    std::cout << driver->facts(0).describe() << ", CUDA " << driver->cudaVersion() << '\n';
  } catch (const ringc::CudaError &error) {
    std::cout << "skipped: " << error.what() << '\n';
    return 77;
  }
  return doctest::Context(argc, argv).run();
}
