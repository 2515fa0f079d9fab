#pragma once

#include "ringc/Tensor.h"
#include "ringc/compiler/spec/Target.h"
#include "ringc/driver/HostPool.h"
#include "ringc/tune/Roofline.h"

#include <memory>
#include <string>
#include <vector>

namespace ringc {

/// Products that depend on nothing but themselves, of the pool's threads together.
struct ProductPeak {
  std::string products; ///< "bf16 pairs added to f32 (AVX512_BF16)"
  double flopsPerSecond = 0;
};

/// Of each form in which kernels for `target`, this processor, multiply `dtype`; half a second
/// each. Empty where they are not compiled.
std::vector<ProductPeak> productPeaks(HostPool &pool, const Target &target, DType dtype);

/// Of the pool's threads together, in about a second: the fastest of those products, and a triad
/// over memory far larger than the last cache. What cannot be measured is named in `problem`.
MachinePeak hostPeak(HostPool &pool, const Target &target, DType dtype);

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
