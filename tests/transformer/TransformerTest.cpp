#include "tests/transformer/TransformerTest.h"

#include "ringc/jit/HostCompiler.h"

namespace ringc::test {

const AttentionContext &transformerContext() {
  static const AttentionContext shared = hostContext();
  return shared;
}

RingTransformerOptions small() {
  RingTransformerOptions options;
  options.numTokens = 13;
  options.dim = 20;
  options.depth = 2;
  options.dimHead = 8;
  options.heads = 4;
  options.ringAttn = true;
  return options;
}

} // namespace ringc::test
