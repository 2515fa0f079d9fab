#pragma once

#include "ringc/Tensor.h"
#include "ringc/attention/Context.h"

#include <cstdint>
#include <string>
#include <vector>

namespace ringc::test {

/// The kernels and threads that all tests share.
const AttentionContext &moduleContext();

HostTensor randomNormal(DType dtype, std::vector<int64_t> shape, unsigned seed);

/// What a call says, or "".
template <class Error, class Body> std::string messageOf(const Body &body) {
  try {
    body();
  } catch (const Error &error) {
    return error.what();
  }
  return "";
}

} // namespace ringc::test
