#include "tests/ring/semantics/Errors.h"

#include <doctest/doctest.h>

using namespace ringc;
using namespace ringc::test;

namespace {

const SequenceLayout layouts[] = {SequenceLayout::contiguous(), SequenceLayout::striped(),
                                  SequenceLayout::striped(3), SequenceLayout::zigzag()};

} // namespace

TEST_CASE("local length 1 or 2: n = 1, 2 and N, 2N, 2N + 1 for every N") {
  for (const SequenceLayout &layout : layouts)
    for (bool causal : {false, true})
      for (int world : {1, 2, 3, 4, 5, 6, 7, 8, 16})
        for (int64_t n : {1, 2, world, 2 * world, 2 * world + 1})
          checkCase({.options = {.heads = 2, .headDim = 16, .causal = causal, .layout = layout},
                     .world = world,
                     .shape = {1, n, n}});
}

TEST_CASE("tails: n in {1, 113, 127, 128, 129, 255} with d in {40, 48, 80, 96, 160, 192}") {
  for (int64_t d : {40, 48, 80, 96, 160, 192})
    for (int64_t n : {1, 113, 127, 128, 129, 255})
      for (int world : {1, 2})
        checkCase({.options = {.headDim = d, .causal = true, .layout = SequenceLayout::zigzag()},
                   .world = world,
                   .shape = {1, n, n}});
}

TEST_CASE("tails in 16 bit, and head dims that no vector divides") {
  for (DType dtype : {DType::F16, DType::BF16})
    for (int64_t d : {1, 7, 40, 80, 192, 255})
      for (int64_t n : {1, 129})
        checkCase({.options = {.heads = d < 16 ? 32 : 1, // errors of few numbers are chance
                               .headDim = d,
                               .dtype = dtype,
                               .causal = true},
                   .world = 2,
                   .shape = {1, n, n}});
  for (int64_t d : {1, 2, 3, 33, 250, 256})
    checkCase({.options = {.headDim = d, .causal = true}, .world = 2, .shape = {1, 67, 67}});
}

TEST_CASE("unequal shard lengths: S % N != 0 works") {
  for (const SequenceLayout &layout : layouts)
    for (int world : {2, 3, 4, 5, 7, 8})
      for (int64_t n : {31, 97, 113})
        checkCase({.options = {.heads = 2, .headDim = 16, .causal = true, .layout = layout},
                   .world = world,
                   .shape = {2, n, n}});
}

TEST_CASE("n_q != n_k: causal is bottom-right, rows before the keys see nothing") {
  for (const SequenceLayout &layout : layouts)
    for (int world : {1, 2, 3, 6})
      for (bool causal : {false, true})
        for (auto [queries, keys] :
             {std::pair<int64_t, int64_t>{1, 97}, {97, 1}, {33, 130}, {130, 33}, {64, 65}})
          checkCase({.options = {.heads = 2, .headDim = 16, .causal = causal, .layout = layout},
                     .world = world,
                     .shape = {1, queries, keys}});
}

TEST_CASE("zero-length sequences and batches give empty or zero results") {
  for (int world : {1, 3})
    for (auto [batch, queries, keys] :
         {AttentionShape{0, 9, 9}, {1, 0, 0}, {2, 0, 9}, {2, 9, 0}, {1, 1, 0}})
      for (bool causal : {false, true})
        checkCase({.options = {.heads = 2,
                               .headDim = 16,
                               .causal = causal,
                               .layout = SequenceLayout::striped()},
                   .world = world,
                   .shape = {batch, queries, keys}});
}

TEST_CASE("zero keys with a key mask, documents and bias") {
  for (int world : {1, 3}) {
    Case given{.options = {.heads = 2, .headDim = 16, .causal = true}, .world = world};
    given.biasLeading = {1, 2};
    given.shape = {2, 5, 0};
    checkCase(given);
    given.shape = {2, 0, 0};
    given.cuSeqlens = {0, 0};
    checkCase(given);
    given.shape = {0, 7, 7};
    given.cuSeqlens = {0, 3, 7};
    checkCase(given);
  }
}

TEST_CASE("a batch smaller than the number of rings leaves rings idle") {
  for (int64_t batch : {0, 1, 3})
    for (int ringSize : {1, 2})
      checkCase({.options = {.heads = 2,
                             .headDim = 16,
                             .causal = true,
                             .layout = SequenceLayout::zigzag(),
                             .ringSize = ringSize},
                 .world = 8,
                 .shape = {batch, 37, 37}});
}
