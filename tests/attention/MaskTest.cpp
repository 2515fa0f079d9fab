// Masks and scores, the library's and the user's, composed and over rings.

#include "tests/attention/AttentionCase.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

using namespace ringc;
using namespace ringc::test;

namespace {

constexpr double f32Bar = 2e-5;
constexpr float notANumber = std::numeric_limits<float>::quiet_NaN();

const char *const source = R"(
mask dilated(b: index, h: index, i: index, j: index, step: i32, reach: view<i32>[H]) {
  return (i - j) % step == 0 and i - j < reach[h]
}
mask odd_batches(b: index, h: index, i: index, j: index) { return b % 2 == 0 or j <= i }
mask shown(b: index, h: index, i: index, j: index, table: view<bool>[Nq, Nk]) { return table[i, j] }

score bent(s: f32, b: index, h: index, i: index, j: index, c: f32) {
  let t = c * tanh(s / c)
  return i - j > 20 ? t - 0.5 : t
}
score weighed(s: f32, b: index, h: index, i: index, j: index,
              rows: view<f32>[B, Nq], columns: view<f32>[Nk, H]) {
  return s * (1.0 + 0.1 * rows[b, i]) + columns[j, h]
}
function smooth(x: f32, width: f32) -> f32 { return x / (1 + abs(x / width)) }
score squashed(s: f32, b: index, h: index, i: index, j: index, width: f32) { return smooth(s, width) }
derivative squashed(s: f32, b: index, h: index, i: index, j: index, width: f32) {
  let r = 1 + abs(s / width)
  return 1 / (r * r)
}
)";

UserFunction mine(const char *name) { return {.file = "mine.tile", .name = name, .text = source}; }

const SequenceLayout layouts[] = {SequenceLayout::contiguous(), SequenceLayout::striped(),
                                  SequenceLayout::zigzag()};

/// A copy of the options on every layout, alone and on a ring of three.
void checkEverywhere(AttentionCase attention, double bar = f32Bar) {
  for (const SequenceLayout &layout : layouts)
    for (int world : {1, 3}) {
      attention.options.layout = layout;
      attention.world = world;
      CAPTURE(attention.name());
      CHECK(worstError(attention) <= bar);
    }
}

HostTensor boolTensor(std::initializer_list<int64_t> shape, auto &&visible) {
  HostTensor tensor(DType::Bool, shape);
  for (int64_t at = 0; at < tensor.elementCount(); ++at)
    tensor.dataAs<uint8_t>()[at] = visible(at);
  return tensor;
}

HostTensor intTensor(std::vector<int32_t> values) {
  HostTensor tensor(DType::I32, {int64_t(values.size())});
  std::copy(values.begin(), values.end(), tensor.dataAs<int32_t>());
  return tensor;
}

} // namespace

TEST_CASE("windows are exact, whatever the blocks") {
  for (int64_t left : {0, 1, 32, 33, 34, 69})
    checkEverywhere({.options = {.headDim = 32, .causal = true, .window = {.left = left}},
                     .queries = 99,
                     .keys = 99});
  checkEverywhere({.options = {.headDim = 32, .window = {.left = 7, .right = 3}}});
  checkEverywhere({.options = {.headDim = 32, .window = {.left = -1, .right = 0}}});
}

TEST_CASE("a prefix is exempt from causal, and changes nothing without it") {
  checkEverywhere({.options = {.headDim = 32, .causal = true, .prefix = 40}});
  checkEverywhere({.options = {.headDim = 32, .prefix = 40}});
}

TEST_CASE("softcap, ALiBi and scale, in the order of the conventions") {
  checkEverywhere({.options = {.heads = 3,
                               .headDim = 32,
                               .scale = 2.0,
                               .causal = true,
                               .softcap = 1.0,
                               .alibi = true}});
  checkEverywhere({.options = {.headDim = 32, .scale = 0.0}});
  checkEverywhere({.options = {.headDim = 32, .scale = -0.3}});
}

TEST_CASE("a bias for all, of each head, or of each batch entry") {
  for (auto [batch, heads] : {std::pair{1, 1}, std::pair{1, 2}, std::pair{2, 1}, std::pair{2, 2}}) {
    HostTensor bias = randomTensor(DType::F32, {batch, heads, 97, 97}, 5);
    checkEverywhere({.options = {.heads = 2, .headDim = 32, .causal = true},
                     .batch = 2,
                     .change = [&](AttentionInputs &inputs) { inputs.bias = bias; }});
  }
}

TEST_CASE("keys that nobody may see may hold anything") {
  for (int64_t hidden : {1, 32, 33, 65, 96}) // from the left: whole shards and parts of them
    for (bool causal : {false, true}) {
      HostTensor mask = boolTensor({2, 97}, [&](int64_t at) { return at % 97 >= hidden; });
      checkEverywhere({.options = {.heads = 2, .headDim = 32, .causal = causal},
                       .batch = 2,
                       .change = [&](AttentionInputs &inputs) {
                         inputs.keyMask = mask;
                         for (const Tensor *tensor : {&inputs.k, &inputs.v})
                           for (int64_t b = 0; b < 2; ++b) {
                             Tensor rows = tensor->select(0, b).slice(0, 0, hidden);
                             std::fill_n(rows.dataAs<float>(), rows.elementCount(), notANumber);
                           }
                       }});
    }
}

TEST_CASE("a key mask that hides all gives zeros and no NaN") {
  HostTensor mask = boolTensor({1, 97}, [](int64_t) { return false; });
  checkEverywhere({.options = {.headDim = 32},
                   .change = [&](AttentionInputs &inputs) { inputs.keyMask = mask; }});
}

TEST_CASE("documents see themselves alone, empty ones and one-token ones too") {
  HostTensor starts = intTensor({0, 1, 3, 3, 40, 71, 97});
  auto change = [&](AttentionInputs &inputs) { inputs.cuSeqlens = starts; };
  checkEverywhere({.options = {.headDim = 32}, .change = change});
  checkEverywhere({.options = {.headDim = 32, .causal = true, .window = {.left = 9}},
                   .batch = 2,
                   .change = change});
  checkEverywhere({.options = {.headDim = 32, .causal = true}, .queries = 50, .change = change});
}

TEST_CASE("documents leave hops out that the host can see are dead") {
  HostTensor starts = intTensor({0, 24, 48, 72, 96});
  HostTensor q = randomTensor(DType::F32, {1, 96, 1, 32}, 1);
  HostAttentionRing ring({.headDim = 32}, 4, context());
  AttentionInputs inputs{.q = q, .k = q, .v = q};
  inputs.cuSeqlens = starts;
  (void)ring.forward(inputs);
  for (const ExecutionReport &report : ring.reports()) {
    CHECK(report.computedSteps == 1);
    CHECK(report.sentBytes == 0);
  }
}

TEST_CASE("masks of the user's own, with tables by head, by row and column, and by batch") {
  HostTensor reach = intTensor({30, 200, 7, 90});
  HostTensor table = boolTensor({97, 97}, [](int64_t at) { return at * 2654435761u % 7 < 3; });
  checkEverywhere({.options = {.heads = 4,
                               .kvHeads = 2,
                               .headDim = 32,
                               .headMap = HeadMap::Tiled,
                               .masks = {mine("dilated")}},
                   .change = [&](AttentionInputs &inputs) {
                     inputs.arguments = {{"step", int64_t(3)}, {"dilated.reach", reach.view()}};
                   }});
  checkEverywhere(
      {.options = {.heads = 2, .headDim = 32, .causal = true, .masks = {mine("shown")}},
       .change = [&](AttentionInputs &inputs) { inputs.arguments = {{"table", table.view()}}; }});
}

TEST_CASE("the batch that a mask sees is that of the whole, in sub-rings too") {
  for (int ringSize : {1, 2, 3}) {
    AttentionCase attention{.options = {.headDim = 32,
                                        .masks = {mine("odd_batches")},
                                        .layout = SequenceLayout::striped(),
                                        .ringSize = ringSize},
                            .world = 6,
                            .batch = 5};
    CHECK(worstError(attention) <= f32Bar);
  }
}

TEST_CASE("scores of the user's own, their derivatives made or given") {
  HostTensor rows = randomTensor(DType::F32, {2, 97}, 6),
             columns = randomTensor(DType::F32, {97, 2}, 7);
  checkEverywhere({.options = {.headDim = 32, .scale = 1.0, .scores = {mine("bent")}},
                   .change = [&](AttentionInputs &inputs) { inputs.arguments = {{"c", 2.5}}; }});
  checkEverywhere({.options = {.heads = 2, .headDim = 32, .scores = {mine("weighed")}},
                   .batch = 2,
                   .change = [&](AttentionInputs &inputs) {
                     inputs.arguments = {{"rows", rows.view()}, {"columns", columns.view()}};
                   }});
  checkEverywhere({.options = {.headDim = 32,
                               .causal = true,
                               .alibi = true,
                               .scores = {mine("squashed"), mine("bent")}},
                   .change = [&](AttentionInputs &inputs) {
                     inputs.arguments = {{"width", int64_t(3)}, {"bent.c", 2.0}};
                   }});
}
