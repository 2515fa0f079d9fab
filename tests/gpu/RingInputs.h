#pragma once

#include "ringc/attention/OffloadedAttentionRing.h"

#include <initializer_list>

namespace ringc::test {

/// The same inputs through the ranks of the host and those of a device.
struct RingInputs {
  explicit RingInputs(const AttentionOptions &options, int64_t batch, int64_t queries,
                      int64_t keys);

  HostTensor q, k, v, dout;
  AttentionInputs inputs() const { return {.q = q, .k = k, .v = v}; }
};

/// Random normal numbers.
HostTensor randomNumbers(DType dtype, std::initializer_list<int64_t> shape, unsigned seed);

/// Relative error in the Frobenius norm.
double errorOf(const Tensor &result, const Tensor &reference);

} // namespace ringc::test
