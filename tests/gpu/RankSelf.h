#pragma once

#include "ringc/Env.h"
#include "ringc/comm/Bootstrap.h"
#include "ringc/comm/Nccl.h"
#include "ringc/jit/DeviceCompiler.h"

#include <chrono>
#include <memory>
#include <optional>

namespace ringc::test {

/// One rank's device, its place in the world, and how it reaches the others, once it is connected.
struct Self {
  explicit Self(std::chrono::milliseconds deadline)
      : env(Env::read()), process(*ProcessRank::of(env)),
        context(
            deviceContext(process.localRank % CudaDriver::open(env.cudaLibrary)->deviceCount())),
        library(NcclLibrary::open(env.ncclLibrary)), patience(deadline) {}

  NcclUniqueId uniqueId() const {
    return shareUniqueId(*library, process, std::chrono::minutes(1));
  }
  void connect() {
    transport.reset();
    transport.emplace(library, context.device, process.rank, process.world, uniqueId(),
                      NcclOptions{.deadline = patience});
  }
  void borrow(NcclComm theirs) {
    transport.reset();
    transport.emplace(library, context.device, theirs, NcclOptions{.deadline = patience});
  }

  Env env;
  ProcessRank process;
  DeviceContext context;
  std::shared_ptr<const NcclLibrary> library;
  std::chrono::milliseconds patience;
  std::optional<NcclTransport> transport;
};

/// What a rank does for nccl_test.py of decoding (RankDecode.cpp); its exit code.
int decodes(std::chrono::milliseconds deadline);
int otherDecode(std::chrono::milliseconds deadline);

} // namespace ringc::test
