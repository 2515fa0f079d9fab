#include "tests/ring/semantics/Errors.h"

#include <doctest/doctest.h>

#include <random>

using namespace ringc;
using namespace ringc::test;

namespace {

/// Any combination of what can be asked for.
class AnyCase {
public:
  explicit AnyCase(uint64_t seed) : random(seed) {}

  Case draw() {
    Case given;
    AttentionOptions &options = given.options;
    options.kvHeads = upTo(3);
    options.heads = options.kvHeads * upTo(3);
    options.headDim = oneIn(3) ? upTo(256) : 8 * upTo(16);
    options.valueHeadDim = oneIn(3) ? upTo(256) : options.headDim;
    options.headMap = oneIn(2) ? HeadMap::Tiled : HeadMap::Blocked;
    options.dtype = oneIn(4) ? DType::F16 : oneIn(3) ? DType::BF16 : DType::F32;
    options.backward = oneIn(2) ? BackwardForm::Fused : BackwardForm::Split;
    options.layout = layout();
    options.causal = oneIn(2);
    options.prefix = oneIn(4) ? upTo(200) : 0;
    options.window = {oneIn(3) ? upTo(300) - 1 : -1, oneIn(4) ? upTo(100) - 1 : -1};
    options.alibi = oneIn(4);
    if (oneIn(4))
      options.softcap = double(upTo(40)) / 4;
    if (oneIn(4))
      options.tile = {{"q", upTo(90)}, {"kv", upTo(150)}};
    int64_t rings = oneIn(4) ? 2 : 1;
    options.ringSize = int(oneIn(3) ? 1 : upTo(7));
    given.world = int(options.ringSize * rings);
    given.shape = {upTo(3), length(), 0};
    given.shape.keyLength = oneIn(2) ? given.shape.queryLength : length();
    addData(given);
    return given;
  }

private:
  int64_t upTo(int64_t most) { return int64_t(random() % uint64_t(most)) + 1; }
  bool oneIn(unsigned count) { return random() % count == 0; }
  int64_t length() { return oneIn(4) ? upTo(12) : upTo(420); }

  SequenceLayout layout() {
    switch (upTo(4)) {
    case 1:
      return SequenceLayout::contiguous();
    case 2:
      return SequenceLayout::striped();
    case 3:
      return SequenceLayout::striped(upTo(20));
    default:
      return SequenceLayout::zigzag();
    }
  }

  void addData(Case &given) {
    auto [batch, queries, keys] = given.shape;
    if (oneIn(3)) {
      int64_t hiddenRun = upTo(keys);
      for (int64_t at = 0; at < batch * keys; ++at)
        given.keyMask.push_back(at % keys >= hiddenRun / 2 && !oneIn(5));
    }
    if (oneIn(3) && queries <= keys) {
      given.cuSeqlens = {0};
      while (given.cuSeqlens.back() < keys)
        given.cuSeqlens.push_back(
            int32_t(std::min(keys, given.cuSeqlens.back() + upTo(keys / 2 + 2) - 1)));
    }
    if (oneIn(4))
      given.biasLeading = {oneIn(2) ? 1 : batch, oneIn(2) ? 1 : given.options.heads};
  }

  std::mt19937_64 random;
};

} // namespace

TEST_CASE("any combination of options and lengths") {
  for (int count = 0; count < 24; ++count) {
    uint64_t seed = freshSeed();
    INFO("RINGC_TEST_SEED=", seed);
    Case given = AnyCase(seed).draw();
    checkCase(given, randomData(given, seed));
  }
}
