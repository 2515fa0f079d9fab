#pragma once

#include "ringc/attention/HostAttentionRank.h"
#include "ringc/attention/device/DeviceCode.h"
#include "tests/unit/runtime/CudaFake.h"

#include <vector>

namespace ringc::test {

/// The tests' own driver.
CudaFake &fake();

/// Contexts of its first devices, of a driver made anew, whose kernels are the host's.
std::vector<DeviceContext> fakeWorld(int devices = 1);
/// One more.
DeviceContext fakeDevice(int ordinal);

/// The host's own.
const AttentionContext &hostWorld();

} // namespace ringc::test
