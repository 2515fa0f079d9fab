// The attention module on real devices, of one rank and of several of one process, against double
// precision.

#include "ringc/jit/DeviceCompiler.h"
#include "ringc/jit/HostCompiler.h"
#include "ringc/module/DeviceModuleBackend.h"
#include "ringc/world/ModuleWorld.h"
#include "tools/ringc/ModuleCase.h"

#include <doctest/doctest.h>

#include <memory>
#include <vector>

using namespace ringc;
using cli::ModuleCase;
using cli::ModuleCheck;
using cli::ModuleError;

namespace {

void check(const ModuleCase &module) {
  CAPTURE(module.name());
  DeviceContext device = deviceContext();
  CudaStream stream(device.device);
  std::vector<ModuleError> errors = errorsOf(module, deviceModuleBackend(device, stream));
  CHECK(errors.size() == (module.options.prenorm ? 5 : 4));
  for (const ModuleError &error : errors) {
    CAPTURE(error.result);
    CHECK(error.ours <= error.bar);
  }
}

/// Of ranks that are threads, dealt over `devices`.
void checkRanks(const ModuleCase &module, const std::vector<int> &devices) {
  CAPTURE(module.name());
  CAPTURE(devices.size());
  std::unique_ptr<World> world =
      makeWorld({.ranks = module.world, .onDevices = true, .devices = devices});
  std::vector<std::vector<ModuleError>> errors(size_t(module.world));
  ModuleCheck check(module);
  onModuleRanks(*world, hostContext(), [&](const std::shared_ptr<ModuleBackend> &backend) {
    errors[size_t(backend->ranks().rank())] = check.ofRank(backend);
  });
  for (const std::vector<ModuleError> &ofRank : errors) {
    CHECK(ofRank.size() == 5);
    for (const ModuleError &error : ofRank) {
      CAPTURE(error.result);
      CAPTURE(error.rank);
      CHECK(error.ours <= error.bar);
    }
  }
}

ModuleCase usual(DType dtype) {
  ModuleCase made;
  made.options.dim = 132;
  made.options.dimHead = 32;
  made.options.heads = 4;
  made.options.numGroupedQueryHeads = 2;
  made.options.causal = made.options.rotaryEmbed = true;
  made.options.dtype = dtype;
  made.length = 301;
  return made;
}

} // namespace

TEST_CASE("the module's results and gradients") {
  for (DType dtype : {DType::F32, DType::BF16, DType::F16}) {
    ModuleCase module = usual(dtype);
    check(module);
    module.keyMask = module.positions = true;
    check(module);
    module.positions = false;
    module.cuSeqlens = {0, 100, 101, 301};
    module.options.maxLookbackSeqLen = 60;
    module.options.softcap = 3;
    check(module);
    module.options.prenorm = module.options.rotaryEmbed = module.options.causal = false;
    module.options.maxLookbackSeqLen.reset();
    check(module);
  }
}

TEST_CASE("odd widths, one row, heads of one KV head") {
  ModuleCase module = usual(DType::F32);
  module.options.dim = 37;
  module.options.dimHead = 10;
  module.options.numGroupedQueryHeads = 4;
  for (int64_t length : {1, 31, 129}) {
    module.length = length;
    check(module);
  }
}

TEST_CASE("the module of ranks of one process, on one device and on all") {
  for (const std::vector<int> &devices : {std::vector{0}, {}})
    for (int ranks : {2, 3})
      for (DType dtype : {DType::F32, DType::BF16}) {
        ModuleCase module = usual(dtype);
        module.world = ranks;
        module.options.ringAttn = true;
        module.options.ringSeqSize = module.options.bucketSize = (301 + ranks - 1) / ranks;
        module.options.layout = SequenceLayout::zigzag();
        module.cuSeqlens = {0, 100, 101, 301};
        checkRanks(module, devices);
        module.cuSeqlens.clear();
        module.options.layout = SequenceLayout::striped();
        module.options.autoShardSeq = module.keyMask = true;
        module.batches = {2, 0, 1};
        module.batches.resize(size_t(ranks));
        checkRanks(module, devices);
      }
}

TEST_CASE("the same bits every time on a device") {
  ModuleCase module = usual(DType::BF16);
  auto run = [&] {
    DeviceContext device = deviceContext();
    CudaStream stream(device.device);
    return errorsOf(module, deviceModuleBackend(device, stream));
  };
  std::vector<ModuleError> first = run(), second = run();
  REQUIRE(first.size() == second.size());
  for (size_t i = 0; i < first.size(); ++i)
    CHECK(first[i].ours == second[i].ours);
}
