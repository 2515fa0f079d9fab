#pragma once

#include "ringc/Tensor.h"
#include "ringc/driver/HostPool.h"
#include "ringc/tune/Roofline.h"

#include <memory>

namespace ringc {

/// Of the pool's threads together, in about a second: products of `dtype` in the widest vectors
/// that the kernels use, and a triad over memory far larger than the last cache. What cannot be
/// measured is named in `problem`.
MachinePeak hostPeak(HostPool &pool, DType dtype);

/// Copies memory far larger than the last cache, again and again: what to hold against the speed of
/// what does little else than read.
class HostCopy {
public:
  /// Throws std::bad_alloc.
  explicit HostCopy(HostPool &pool);
  ~HostCopy();

  /// Of one more copy by all threads of the pool: bytes read, and bytes written.
  double bytesPerSecond();

private:
  struct Arrays;
  HostPool &pool;
  std::unique_ptr<Arrays> arrays;
};

} // namespace ringc
