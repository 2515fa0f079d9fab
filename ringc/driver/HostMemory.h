#pragma once

#include "ringc/Tensor.h"
#include "ringc/driver/HostPool.h"

#include <cstdint>
#include <span>

namespace ringc {

/// Memory that is kept between calls, and grows when one asks for more. Not filled.
class KeptMemory {
public:
  /// 64-byte aligned; null for 0 bytes. What was there before may be gone.
  void *reserve(int64_t bytes);

  /// A row-major tensor in it.
  Tensor tensor(DType dtype, std::span<const int64_t> shape);

private:
  HostTensor memory;
};

/// Work on memory that the pool's threads share, in parts of some hundred kilobytes. As the
/// functions of one thread (ringc/Tensor.h) otherwise.

/// Writes zeros.
void zero(HostPool &pool, const Tensor &tensor);

/// sum += part. Both f32, row-major and of one shape.
void add(HostPool &pool, const Tensor &part, const Tensor &sum);

void copy(HostPool &pool, const Tensor &from, const Tensor &to);

/// Rounds to nearest even where `to` has fewer bits. Shapes and types are as `convert` wants them.
void convert(HostPool &pool, const Tensor &from, const Tensor &to);

} // namespace ringc
