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

/// Reads, or copies, memory far larger than the last cache, with all threads of a pool: what to
/// hold against the speed of what does little else.
class HostTraffic {
public:
  /// Throws std::bad_alloc.
  explicit HostTraffic(HostPool &pool);
  ~HostTraffic();

  /// Bytes each second, of one more pass.
  double read();
  double copied(); ///< those that are read and those that are written

private:
  struct Arrays;
  HostPool &pool;
  std::unique_ptr<Arrays> arrays;
};

} // namespace ringc
