#include "tests/ring/semantics/Errors.h"

#include <doctest/doctest.h>

#include <cmath>

using namespace ringc;
using namespace ringc::test;

TEST_CASE("GQA head map the other way round: kv head h holds v = h") {
  for (HeadMap map : {HeadMap::Blocked, HeadMap::Tiled})
    for (int world : {1, 3}) {
      Case given{.options = {.heads = 6, .kvHeads = 3, .headDim = 16, .headMap = map},
                 .world = world,
                 .shape = {2, 29, 29}};
      Data data = finiteData(given, freshSeed());
      for (int64_t at = 0; at < data.v.elementCount(); ++at)
        data.v.dataAs<float>()[at] = float(at / 16 % 3);
      reference::Result result = compute(given, data);
      for (int64_t b = 0; b < 2; ++b)
        for (int64_t row = 0; row < 29; ++row)
          for (int64_t h = 0; h < 6; ++h)
            REQUIRE(std::abs(result.out.at(b, row, h, 5) -
                             double(map == HeadMap::Blocked ? h / 2 : h % 3)) < 1e-5);
      checkResult(given, data, result);
    }
}

TEST_CASE("grouped heads: dK and dV are sums over the group, K and V are not expanded") {
  for (HeadMap map : {HeadMap::Blocked, HeadMap::Tiled})
    for (auto [heads, kvHeads] : {std::pair<int64_t, int64_t>{4, 4}, {4, 2}, {5, 1}, {6, 2}})
      for (DType dtype : {DType::F32, DType::BF16})
        checkCase({.options = {.heads = heads,
                               .kvHeads = kvHeads,
                               .headDim = 24,
                               .headMap = map,
                               .dtype = dtype,
                               .causal = true,
                               .alibi = true, // tells the heads apart
                               .layout = SequenceLayout::zigzag()},
                   .world = 4,
                   .shape = {2, 71, 71}});
}

TEST_CASE("softmax scale hard coded; d != d_v") {
  for (double scale : {1.0, 0.31, 0.0, -0.2})
    for (int world : {1, 3})
      checkCase({.options = {.headDim = 32, .scale = scale, .causal = true},
                 .world = world,
                 .shape = {1, 50, 50}});
  for (auto [d, dv] : {std::pair<int64_t, int64_t>{192, 128}, {128, 192}, {64, 8}, {8, 200}})
    for (DType dtype : {DType::F32, DType::BF16})
      checkCase({.options = {.heads = 2,
                             .kvHeads = 1,
                             .headDim = d,
                             .valueHeadDim = dv,
                             .dtype = dtype,
                             .scale = 0.05,
                             .causal = true,
                             .layout = SequenceLayout::striped()},
                 .world = 2,
                 .shape = {1, 130, 130}});
}
