#pragma once

#include "ringc/Tensor.h"
#include "ringc/driver/HostPool.h"
#include "ringc/tune/Roofline.h"

namespace ringc {

/// Of the pool's threads together, in about a second: products of `dtype` in the widest vectors
/// that the kernels use, and a triad over memory far larger than the last cache. What cannot be
/// measured is named in `problem`.
MachinePeak hostPeak(HostPool &pool, DType dtype);

} // namespace ringc
