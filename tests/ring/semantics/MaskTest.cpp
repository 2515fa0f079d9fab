#include "tests/ring/semantics/Errors.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <random>

using namespace ringc;
using namespace ringc::test;

namespace {

const SequenceLayout layouts[] = {SequenceLayout::contiguous(), SequenceLayout::striped(),
                                  SequenceLayout::striped(3), SequenceLayout::zigzag()};

std::vector<uint8_t> hidden(const AttentionShape &shape, int64_t begin, int64_t end) {
  std::vector<uint8_t> mask(size_t(shape.batch * shape.keyLength), 1);
  for (int64_t b = 0; b < shape.batch; ++b)
    std::fill(mask.begin() + b * shape.keyLength + begin, mask.begin() + b * shape.keyLength + end,
              0);
  return mask;
}

/// 0, then the sums of `lengths`.
std::vector<int32_t> cuts(const std::vector<int32_t> &lengths) {
  std::vector<int32_t> sums = {0};
  for (int32_t length : lengths)
    sums.push_back(sums.back() + length);
  return sums;
}

} // namespace

TEST_CASE("first key block or first hop fully masked gives NaN: left padding, and a whole shard") {
  for (const SequenceLayout &layout : layouts)
    for (bool causal : {false, true}) // "padding mask dropped when causal"
      for (int world : {1, 3})
        for (int64_t pad : {1, 127, 128, 129, 200}) { // 200: a third, and more than the first shard
          Case given{.options = {.heads = 2, .headDim = 16, .causal = causal, .layout = layout},
                     .world = world,
                     .shape = {1, 391, 391}};
          given.keyMask = hidden(given.shape, 0, pad);
          checkCase(given);
        }
}

TEST_CASE("right padding, holes and batch entries of which nothing is left") {
  for (bool causal : {false, true})
    for (int world : {1, 2, 5}) {
      Case given{.options = {.heads = 2,
                             .kvHeads = 1,
                             .headDim = 16,
                             .causal = causal,
                             .layout = SequenceLayout::zigzag()},
                 .world = world,
                 .shape = {3, 93, 93}};
      given.keyMask = hidden(given.shape, 60, 93);
      checkCase(given);
      given.keyMask = hidden(given.shape, 0, 93);
      checkCase(given);
      std::mt19937_64 random(freshSeed());
      for (int keep : {2, 5})
        for (uint8_t &each : given.keyMask)
          each = random() % unsigned(keep) != 0;
      std::fill_n(given.keyMask.begin() + 93, 93, uint8_t(0)); // all of the second entry
      checkCase(given);
    }
}

TEST_CASE("packed documents of odd length lose a token: 1, 2, 3, 7, primes, with and without pad") {
  const std::vector<std::vector<int32_t>> packs = {
      {1, 2, 3, 7}, {7, 3, 2, 1}, {1, 1, 1},      {2, 3, 5, 7, 11, 13, 17, 19, 23},
      {101},        {61, 67},     {0, 3, 0, 5, 0}};
  for (const SequenceLayout &layout : layouts)
    for (int world : {1, 3, 4})
      for (bool causal : {false, true})
        for (const auto &pack : packs)
          for (bool padded : {false, true}) {
            Case given{.options = {.headDim = 16, .causal = causal, .layout = layout},
                       .world = world};
            given.cuSeqlens = cuts(pack);
            int32_t tokens = given.cuSeqlens.back(), length = tokens + (padded ? 6 : 0);
            if (padded)
              given.cuSeqlens.push_back(length);
            given.shape = {2, length, length};
            if (padded)
              given.keyMask = hidden(given.shape, tokens, length);
            checkCase(given);
          }
}

TEST_CASE("documents where only the last rows ask: keys of earlier documents may hold anything") {
  for (const SequenceLayout &layout : layouts)
    for (int world : {1, 3}) {
      Case given{.options = {.headDim = 16, .causal = true, .layout = layout},
                 .world = world,
                 .shape = {1, 20, 90}};
      given.cuSeqlens = cuts({31, 44, 15});
      checkCase(given);
    }
}

TEST_CASE("a window that leaves the first keys to nobody: they may hold anything") {
  for (const SequenceLayout &layout : layouts)
    for (int world : {1, 3})
      checkCase({.options = {.headDim = 16, .causal = true, .window = {9, -1}, .layout = layout},
                 .world = world,
                 .shape = {1, 20, 90}});
}

TEST_CASE("masks compose") {
  for (const SequenceLayout &layout : layouts)
    for (int world : {1, 4})
      for (int64_t left : {-1, 17}) {
        Case given{.options = {.heads = 4,
                               .kvHeads = 2,
                               .headDim = 16,
                               .causal = true,
                               .prefix = 9,
                               .window = {left, -1},
                               .softcap = 3.0,
                               .alibi = true,
                               .layout = layout},
                   .world = world,
                   .shape = {2, 90, 90}};
        given.cuSeqlens = cuts({31, 44, 15});
        given.keyMask = hidden(given.shape, 20, 40);
        given.biasLeading = {2, 4};
        checkCase(given);
      }
}

TEST_CASE("NaN in a visible key shows, in an invisible one never") {
  for (int world : {1, 3})
    for (bool hide : {false, true}) {
      Case given{.options = {.headDim = 16, .layout = SequenceLayout::striped()},
                 .world = world,
                 .shape = {1, 60, 60}};
      if (hide)
        given.keyMask = hidden(given.shape, 7, 8);
      for (bool ofValues : {false, true}) {
        Data data = finiteData(given, freshSeed());
        (ofValues ? data.v : data.k).dataAs<float>()[7 * 16 + 3] =
            std::numeric_limits<float>::quiet_NaN();
        reference::Result result = compute(given, data);
        int64_t nans = 0;
        for (double value : result.out.data)
          nans += std::isnan(value);
        CHECK(nans == (hide ? 0 : ofValues ? 60 : 60 * 16));
        if (hide)
          checkResult(given, data, result);
      }
    }
}

TEST_CASE("NaN in a query shows in its row alone") {
  for (int world : {1, 3}) {
    Case given{.options = {.headDim = 16}, .world = world, .shape = {1, 60, 60}};
    Data data = finiteData(given, freshSeed());
    data.q.dataAs<float>()[31 * 16] = std::numeric_limits<float>::quiet_NaN();
    reference::Result result = compute(given, data);
    for (int64_t row = 0; row < 60; ++row)
      CHECK(std::isnan(result.out.at(0, row, 0, 4)) == (row == 31));
  }
}
