#pragma once

#include "ringc/attention/Context.h"
#include "ringc/transformer/RingTransformer.h"

#include <string>

namespace ringc::test {

/// The kernels and threads that all tests share.
const AttentionContext &transformerContext();

/// Two layers, a ring.
RingTransformerOptions small();

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
