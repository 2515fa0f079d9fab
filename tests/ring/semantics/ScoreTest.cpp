#include "tests/ring/semantics/Errors.h"

#include "ringc/attention/HostAttentionRing.h"
#include "ringc/attention/shared/AlibiSlopes.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

using namespace ringc;
using namespace ringc::test;

namespace {

const SequenceLayout layouts[] = {SequenceLayout::contiguous(), SequenceLayout::striped(),
                                  SequenceLayout::striped(3), SequenceLayout::zigzag()};

} // namespace

TEST_CASE("softcap derivative or order: cap 1.0 with large logits, before ALiBi and bias") {
  for (int world : {1, 3})
    for (double spread : {1.0, 4.0}) // logits of deviation 1 and 16
      for (bool others : {false, true}) {
        Case given{.options = {.heads = 2,
                               .headDim = 32,
                               .causal = true,
                               .softcap = 1.0,
                               .alibi = others,
                               .layout = SequenceLayout::striped()},
                   .world = world,
                   .shape = {1, 70, 70},
                   .logitSpread = spread};
        if (others)
          given.biasLeading = {1, 1};
        checkCase(given);
      }
}

TEST_CASE("softcaps from far below the logits to far above them") {
  for (double cap : {1e-30, 1e-3, 999.0, 1001.0, 1e4, 1e6, 1e30})
    for (double spread : {1.0, 30.0}) { // logits of deviation 1 and 900
      CAPTURE(cap);
      checkCase({.options = {.heads = 2, .headDim = 16, .softcap = cap},
                 .world = 2,
                 .shape = {1, 40, 40},
                 .logitSpread = spread});
    }
}

TEST_CASE("softcap with logits beyond tanh's range is finite and has no gradient") {
  Case given{.options = {.headDim = 16, .softcap = 30.0}, .world = 2, .shape = {1, 40, 40}};
  given.logitSpread = 300;
  uint64_t seed = freshSeed();
  INFO("RINGC_TEST_SEED=", seed);
  Data data = finiteData(given, seed);
  for (const HostTensor *each : {&data.q, &data.k}) // integers: f32 has the logits exactly
    for (int64_t at = 0; at < each->elementCount(); ++at)
      each->dataAs<float>()[at] = std::round(each->dataAs<float>()[at]);
  checkCase(given, data);
}

TEST_CASE("softcap: finite differences of the compiled forward agree with the compiled backward") {
  Case given{
      .options = {.headDim = 8, .scale = 1.0, .softcap = 1.0}, .world = 2, .shape = {1, 6, 10}};
  uint64_t seed = freshSeed();
  INFO("RINGC_TEST_SEED=", seed);
  Data data = finiteData(given, seed);
  reference::Result result = compute(given, data);
  auto loss = [&] {
    HostAttentionRing ring(given.options, given.world, context());
    HostTensor out = ring.forward(inputsOf(given, data)).out;
    double sum = 0;
    for (int64_t at = 0; at < out.elementCount(); ++at)
      sum += double(out.dataAs<float>()[at]) * double(data.dout.dataAs<float>()[at]);
    return sum;
  };
  for (const auto &[tensor, gradient] : {std::pair(&data.q, &result.dq), {&data.k, &result.dk}})
    for (int64_t at = 0; at < tensor->elementCount(); at += 3) {
      float &x = tensor->dataAs<float>()[at], before = x;
      constexpr float step = 1e-2f;
      x = before + step;
      double above = loss();
      x = before - step;
      double below = loss();
      x = before;
      CHECK(std::abs((above - below) / (2 * double(step)) - gradient->data[size_t(at)]) < 5e-3);
    }
}

TEST_CASE("ALiBi with local positions: slopes beyond one shard") {
  for (const SequenceLayout &layout : layouts)
    for (int world : {1, 2, 5, 8})
      for (bool causal : {false, true})
        for (auto [queries, keys] : {std::pair<int64_t, int64_t>{97, 97}, {31, 97}, {97, 31}})
          checkCase(
              {.options =
                   {.heads = 3, .headDim = 16, .causal = causal, .alibi = true, .layout = layout},
               .world = world,
               .shape = {1, queries, keys}});
}

TEST_CASE("ALiBi with slopes of its own: the paper's code's, of either sign, and none") {
  CHECK(alibiSlopesOfPaper(8) == alibiSlopes(8));
  std::vector<float> six = alibiSlopesOfPaper(6), eight = alibiSlopes(8), four = alibiSlopes(4);
  CHECK(six == std::vector{four[0], four[1], four[2], four[3], eight[0], eight[2]});
  CHECK(alibiSlopes(2) == std::vector{0x1p-4f, 0x1p-8f});
  for (std::vector<float> slopes : {six, std::vector<float>{0.5f, -0.25f, 0, 1, 2, -0.125f}})
    for (int world : {1, 3})
      checkCase({.options = {.heads = 6,
                             .kvHeads = 2,
                             .headDim = 16,
                             .causal = true,
                             .alibi = true,
                             .alibiSlopes = slopes,
                             .layout = SequenceLayout::zigzag()},
                 .world = world,
                 .shape = {1, 61, 61}});
}

TEST_CASE("bias with local positions: a matrix of all keys, broadcast or not") {
  for (const SequenceLayout &layout : layouts)
    for (int world : {1, 4})
      for (std::array<int64_t, 2> leading : {std::array<int64_t, 2>{1, 1}, {2, 1}, {1, 4}, {2, 4}})
        for (auto [queries, keys] : {std::pair<int64_t, int64_t>{51, 51}, {20, 51}}) {
          Case given{.options = {.heads = 4, .kvHeads = 2, .headDim = 16, .layout = layout},
                     .world = world,
                     .shape = {2, queries, keys}};
          given.biasLeading = leading;
          checkCase(given);
        }
}

TEST_CASE("bias of -inf hides, a row of nothing else is a row that sees no key") {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  for (int world : {1, 3})
    for (bool causal : {false, true}) {
      Case given{.options = {.heads = 2,
                             .headDim = 16,
                             .causal = causal,
                             .layout = SequenceLayout::striped()},
                 .world = world,
                 .shape = {1, 40, 40}};
      given.biasLeading = {1, 2};
      uint64_t seed = freshSeed();
      INFO("RINGC_TEST_SEED=", seed);
      Data data = finiteData(given, seed);
      float *bias = data.bias.dataAs<float>();
      for (int64_t row : {0, 7, 39}) // of the first head
        std::fill_n(bias + row * 40, 40, -infinity);
      for (int64_t row = 0; row < 40; ++row) // a column of the second
        bias[1600 + row * 40 + 5] = -infinity;
      checkCase(given, data);
    }
}

TEST_CASE("positions above 2^24: ALiBi and windows take differences of integers") {
  constexpr int64_t keys = (int64_t(1) << 24) + 41, queries = 5, tail = 64;
  Case given{.options = {.headDim = 1, .window = {20, 3}, .alibi = true},
             .world = 2,
             .shape = {1, queries, keys}};
  uint64_t seed = freshSeed();
  INFO("RINGC_TEST_SEED=", seed);
  Case lastKeys = given;
  lastKeys.world = 1;
  lastKeys.shape.keyLength = tail;
  Data small = finiteData(lastKeys, seed);
  HostTensor k(DType::F32, {1, keys, 1, 1}), v(DType::F32, {1, keys, 1, 1});
  copy(small.k, k.view().slice(1, keys - tail, tail));
  copy(small.v, v.view().slice(1, keys - tail, tail));
  HostAttentionRing ring(given.options, given.world, context());
  HostAttentionRing::Forward forward = ring.forward({.q = small.q, .k = k, .v = v});
  reference::Result right = reference::attention(problemOf(lastKeys, small));
  CHECK(reference::relativeError(reference::arrayOf(forward.out), right.out) < 2e-5);
  CHECK(reference::relativeError(reference::arrayOf(forward.lse), right.lse) < 2e-5);
}
