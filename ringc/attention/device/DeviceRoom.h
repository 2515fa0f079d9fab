#pragma once

#include "ringc/Tensor.h"

#include <cstddef>
#include <cstdint>
#include <span>

namespace ringc {

/// Hands out a workspace piece by piece, each aligned to 256 bytes. One without memory only counts:
/// what takes from it asks, by the same code that will use it, for as much as it needs.
class DeviceRoom {
public:
  DeviceRoom() = default;
  /// `memory`, on a device, is aligned to 256 bytes.
  explicit DeviceRoom(std::span<std::byte> memory)
      : start(reinterpret_cast<uintptr_t>(memory.data())) {}

  /// Null for 0 bytes.
  void *take(int64_t bytes) {
    if (bytes == 0)
      return nullptr;
    uintptr_t at = start + uintptr_t(taken);
    taken += (bytes + 255) / 256 * 256;
    return reinterpret_cast<void *>(at);
  }

  /// Row-major.
  Tensor tensor(DType dtype, std::span<const int64_t> shape) {
    return {take(Tensor(nullptr, dtype, shape).byteCount()), dtype, shape};
  }

  /// Of all pieces together.
  int64_t bytes() const { return taken; }

private:
  uintptr_t start = 0;
  int64_t taken = 0;
};

} // namespace ringc
