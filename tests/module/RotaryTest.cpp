// Rotary embedding by the kernel, at positions of any kind, beside `rope` in double precision.

#include "ringc/module/Rotary.h"
#include "ringc/attention/Rope.h"
#include "ringc/comm/InProcess.h"
#include "ringc/module/HostModuleBackend.h"
#include "tests/module/ModuleTest.h"
#include "tests/support/ReferenceAttention.h"

#include <doctest/doctest.h>

#include <array>

using namespace ringc;
using namespace ringc::test;

namespace {

double difference(const Tensor &a, const Tensor &b) {
  return reference::relativeError(reference::arrayOf(a), reference::arrayOf(b));
}

/// What one rounding to the type may cost, and the angles' f32.
double allowed(DType dtype) {
  return (dtype == DType::BF16 ? 0x1p-8 : dtype == DType::F16 ? 0x1p-11 : 0) + 1e-6;
}

} // namespace

TEST_CASE("some heads of each row turn where they are, and back") {
  InProcessWorld world(1);
  auto backend = hostModuleBackend(moduleContext(), world.at(0));
  for (DType dtype : {DType::F32, DType::BF16, DType::F16})
    for (int64_t dimHead : {2, 10, 64, 254})
      for (int64_t first : {int64_t(0), int64_t(100000), int64_t(2147480000)}) {
        CAPTURE(nameOf(dtype));
        CAPTURE(dimHead);
        CAPTURE(first);
        HostTensor all = randomNormal(dtype, {2, 37, 5, dimHead}, 1),
                   before = HostTensor::copyOf(all), right = HostTensor::copyOf(all);
        // The first three of five heads; entry 1 has positions of its own.
        HostTensor at(DType::I32, {2, 37});
        for (int64_t entry = 0; entry < 2; ++entry) {
          Positions positions{.first = first - 3 * entry, .block = 5, .jump = 7 + entry};
          for (int64_t row = 0; row < 37; ++row)
            at.dataAs<int32_t>()[entry * 37 + row] = int32_t(positions(row));
          Tensor part = right.view().slice(0, entry, 1).slice(2, 0, 3);
          rope(part, part, positions, {.base = 500000});
        }
        Rotary rotary(*backend, dimHead, 500000);
        Tensor heads = all.view().slice(2, 0, 3);
        rotary.turn(heads, at, Rotary::Direction::Forward);
        CHECK(difference(all, right) < allowed(dtype));
        rotary.turn(heads, at, Rotary::Direction::Inverse);
        CHECK(difference(all, before) < 2 * allowed(dtype));
      }
}

TEST_CASE("one row of positions for all entries") {
  InProcessWorld world(1);
  auto backend = hostModuleBackend(moduleContext(), world.at(0));
  HostTensor heads = randomNormal(DType::F32, {3, 8, 2, 6}, 1), right = HostTensor::copyOf(heads);
  HostTensor at(DType::I32, {8});
  for (int32_t row = 0; row < 8; ++row)
    at.dataAs<int32_t>()[row] = 11 + row;
  rope(right, right, {.first = 11});
  Rotary(*backend, 6, 10000).turn(heads, at, Rotary::Direction::Forward);
  CHECK(difference(heads, right) < allowed(DType::F32));
}
