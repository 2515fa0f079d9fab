// The attention module of one rank on a real device, against double precision.

#include "ringc/jit/DeviceCompiler.h"
#include "ringc/module/DeviceModuleBackend.h"
#include "tools/ringc/ModuleCase.h"

#include <doctest/doctest.h>

#include <vector>

using namespace ringc;
using cli::ModuleCase;
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
