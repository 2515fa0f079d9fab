#pragma once

#include "ringc/attention/HostAttentionRing.h"
#include "ringc/jit/HostCompiler.h"

#include <functional>
#include <string>

namespace ringc::test {

/// One attention on one world, with random normal inputs.
struct AttentionCase {
  AttentionOptions options;
  int world = 1;
  int64_t batch = 1, queries = 97, keys = 97;

  /// Changes the inputs after they were filled: masks, bias, arguments, NaN where nobody looks.
  std::function<void(AttentionInputs &)> change = {};

  std::string name() const;
};

/// The kernels and threads that all cases share.
const AttentionContext &context();

/// The largest error of the five results on any rank, against double precision: ErrorMeasure.
double worstError(const AttentionCase &attention);

/// Random normal numbers.
HostTensor randomTensor(DType dtype, std::initializer_list<int64_t> shape, unsigned seed);

} // namespace ringc::test
