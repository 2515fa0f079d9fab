// The attention module on devices, without one: the same module, its kernels, ring and sums in the
// order of streams, against double precision.

#include "ringc/module/DeviceModuleBackend.h"
#include "tests/gpu/FakeThreadWorld.h"
#include "tests/gpu/FakeWorld.h"
#include "tools/ringc/ModuleCase.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace ringc;
using namespace ringc::test;
using cli::ModuleCase;
using cli::ModuleError;

namespace {

ModuleCase small(int world) {
  ModuleCase made;
  made.options.dim = 20;
  made.options.dimHead = 8;
  made.options.heads = 4;
  made.options.numGroupedQueryHeads = 2;
  made.options.causal = made.options.ringAttn = made.options.rotaryEmbed = true;
  made.world = world;
  return made;
}

void check(const ModuleCase &module, const std::vector<ModuleError> &errors) {
  CAPTURE(module.name());
  CHECK(errors.size() == 5);
  for (const ModuleError &error : errors) {
    CAPTURE(error.result);
    CAPTURE(error.rank);
    CHECK(error.ours <= error.bar);
  }
}

template <typename World> void checkWorld(const ModuleCase &module) {
  CAPTURE(module.name());
  World world(module.world);
  std::vector<std::vector<ModuleError>> errors(size_t(module.world));
  std::vector<std::string> said = world.run([&](int rank, RemoteTransport &transport) {
    const DeviceContext &device = world.devices[size_t(rank)];
    CudaStream stream(device.device);
    errors[size_t(rank)] = errorsOf(module, deviceModuleBackend(device, stream, transport));
  });
  for (const std::string &each : said)
    CHECK(each == "nothing thrown");
  for (const std::vector<ModuleError> &ofRank : errors)
    check(module, ofRank);
}

} // namespace

TEST_CASE("the module of one rank on a device") {
  for (DType dtype : {DType::F32, DType::BF16}) {
    ModuleCase module = small(1);
    module.options.dtype = dtype;
    module.keyMask = true;
    DeviceContext device = fakeWorld().front();
    CudaStream stream(device.device);
    check(module, errorsOf(module, deviceModuleBackend(device, stream)));
  }
}

TEST_CASE_TEMPLATE("the module of several ranks, over NCCL and in threads", World, NcclWorld,
                   ThreadWorld) {
  for (int world : {2, 3})
    for (const SequenceLayout &layout :
         {SequenceLayout::contiguous(), SequenceLayout::striped(), SequenceLayout::zigzag()}) {
      ModuleCase module = small(world);
      module.options.layout = layout;
      module.cuSeqlens = {0, 9, 31};
      checkWorld<World>(module);
    }
}

TEST_CASE_TEMPLATE("batches are dealt between devices", World, NcclWorld, ThreadWorld) {
  for (const SequenceLayout &layout :
       {SequenceLayout::contiguous(), SequenceLayout::striped(), SequenceLayout::zigzag()}) {
    ModuleCase module = small(3);
    module.options.layout = layout;
    module.options.autoShardSeq = true;
    module.batches = {2, 0, 1};
    module.keyMask = module.positions = true;
    checkWorld<World>(module);
  }
}

TEST_CASE_TEMPLATE("a call without a ring on devices", World, NcclWorld, ThreadWorld) {
  ModuleCase module = small(2);
  module.ringOff = true;
  checkWorld<World>(module);
}
