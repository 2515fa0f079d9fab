#pragma once

#include "ringc/module/ModuleBackend.h"

#include <cstdint>
#include <memory>
#include <span>

namespace ringc {

/// Memory of the host that comes back when its last owner goes, for the next who asks for about as
/// much: fresh pages cost more than most of what is done with them. Not filled; with asserts it
/// holds NaN, so that whoever reads what was not written is found.
class HostBlocks {
public:
  HostBlocks();

  /// Row-major, 64-byte aligned. May outlive this; the last owner may be another thread.
  SharedTensor tensor(DType dtype, std::span<const int64_t> shape);

private:
  struct Shelf;
  std::shared_ptr<Shelf> shelf;
};

} // namespace ringc
