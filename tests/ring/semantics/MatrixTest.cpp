#include "tests/ring/semantics/Errors.h"

#include <doctest/doctest.h>

#include <functional>

using namespace ringc;
using namespace ringc::test;

namespace {

struct NamedMask {
  const char *name;
  std::function<void(Case &)> apply;
};

const NamedMask masks[] = {
    {"all", [](Case &) {}},
    {"causal", [](Case &given) { given.options.causal = true; }},
    {"window", [](Case &given) { given.options.window = {given.shape.keyLength / 3, 5}; }},
    {"causal window",
     [](Case &given) {
       given.options.causal = true;
       given.options.window = {11, -1};
     }},
    {"prefix",
     [](Case &given) {
       given.options.causal = true;
       given.options.prefix = given.shape.keyLength / 2;
     }},
    {"key mask",
     [](Case &given) {
       for (int64_t at = 0; at < given.shape.batch * given.shape.keyLength; ++at)
         given.keyMask.push_back(at % given.shape.keyLength > 8 && at % 7 != 3);
     }},
    {"causal documents",
     [](Case &given) {
       auto n = int32_t(given.shape.keyLength);
       given.options.causal = true;
       given.cuSeqlens = {0, n / 5, n / 2 + 1, n - 2, n};
     }},
    {"causal softcap ALiBi bias",
     [](Case &given) {
       given.options.causal = given.options.alibi = true;
       given.options.softcap = 2.0;
       given.biasLeading = {1, given.options.heads};
     }},
};

/// Worlds of 1 to 8 ranks on the same input: every rank near the truth, and no world much farther
/// from it than one rank alone.
void checkWorlds(Case given) {
  uint64_t seed = freshSeed();
  INFO("RINGC_TEST_SEED=", seed);
  Data data = randomData(given, seed);
  Judge judge(given, data);
  Errors one{};
  for (int world = 1; world <= 8; ++world) {
    given.world = world;
    INFO(given.name());
    reference::Result result;
    REQUIRE_NOTHROW(result = compute(given, data));
    Errors errors = judge.worstRank(result), whole = judge.whole(result);
    if (world == 1)
      one = whole;
    for (size_t which = 0; which < errors.size(); ++which) {
      INFO(resultNames[which], ": ", errors[which], ", in all ", whole[which], ", of one rank ",
           one[which]);
      CHECK(errors[which] <= 2e-5);
      CHECK(whole[which] <= 1.5 * one[which] + 1e-7);
    }
  }
}

} // namespace

TEST_CASE("matrix: layouts x masks x head maps x 1 to 8 ranks x odd lengths") {
  for (const NamedMask &mask : masks)
    for (SequenceLayout layout : {SequenceLayout::contiguous(), SequenceLayout::striped(),
                                  SequenceLayout::striped(5), SequenceLayout::zigzag()})
      for (HeadMap map : {HeadMap::Blocked, HeadMap::Tiled})
        for (int64_t n : {31, 97, 171}) {
          INFO(mask.name);
          Case given{.options = {.heads = 4,
                                 .kvHeads = 2,
                                 .headDim = 24,
                                 .headMap = map,
                                 .layout = layout},
                     .shape = {2, n, n}};
          mask.apply(given);
          checkWorlds(given);
        }
}
