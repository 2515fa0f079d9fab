#pragma once

#include "ringc/Tensor.h"

#include <cstddef>

namespace ringc::test {

/// A copy of a tensor whose last byte is the last of a page, with unmapped pages on both sides: a
/// read or write beyond it ends the process.
class GuardedTensor {
public:
  explicit GuardedTensor(const Tensor &from);
  ~GuardedTensor();
  GuardedTensor(GuardedTensor &&other) noexcept;
  GuardedTensor &operator=(GuardedTensor &&) = delete;

  operator const Tensor &() const { return tensor; }
  const Tensor &view() const { return tensor; }

private:
  void *mapping = nullptr;
  size_t mappedBytes = 0;
  Tensor tensor;
};

} // namespace ringc::test
