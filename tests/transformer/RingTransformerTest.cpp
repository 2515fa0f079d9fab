// The transformer's logits, loss and all gradients against double precision, on every rank.

#include "tests/transformer/TransformerTest.h"
#include "tools/ringc/TransformerCase.h"

#include <doctest/doctest.h>

#include <array>
#include <random>
#include <string>

using namespace ringc;
using namespace ringc::test;
using cli::ModuleError;
using cli::TransformerCase;

namespace {

constexpr std::array layouts = {SequenceLayout::contiguous(), SequenceLayout::striped(),
                                SequenceLayout::zigzag()};

/// Shards come as they are.
TransformerCase sharded(int world) {
  TransformerCase made{.options = small(), .world = world};
  made.options.autoShardSeq = false;
  made.seed = std::random_device{}();
  return made;
}

void checkErrors(const TransformerCase &of) {
  CAPTURE(of.name());
  CAPTURE(of.seed);
  for (const ModuleError &error : errorsOf(of, transformerContext())) {
    CAPTURE(error.result);
    CAPTURE(error.rank);
    CAPTURE(error.plain);
    CHECK(error.ours <= error.bar);
  }
}

} // namespace

TEST_CASE("every number of ranks, layout and mask") {
  for (int world : {1, 2, 3, 4})
    for (const SequenceLayout &layout : layouts)
      for (const char *mask : {"full", "causal", "look-back", "key mask", "documents"}) {
        TransformerCase of = sharded(world);
        std::string kind = mask;
        of.options.layout = layout;
        of.options.causal = kind != "full";
        of.keyMask = kind == "key mask";
        if (kind == "look-back") // of each layer its own
          of.options.maxLookbackSeqLen = {9, std::nullopt};
        if (kind == "documents")
          of.cuSeqlens = {0, 3, 3, 10, 17, 31};
        checkErrors(of);
      }
}

TEST_CASE("lengths that do not divide, and are less than the ranks") {
  for (int64_t length : {1, 2, 3, 7, 64})
    for (const SequenceLayout &layout : layouts) {
      TransformerCase of = sharded(4);
      of.length = length;
      of.options.causal = true;
      of.options.layout = layout;
      checkErrors(of);
    }
}

TEST_CASE("16 bit types, and activations that are computed anew") {
  for (DType dtype : {DType::BF16, DType::F16, DType::F32})
    for (bool recompute : {false, true})
      for (int world : {1, 3}) {
        TransformerCase of = sharded(world);
        of.options.dtype = dtype;
        of.options.recompute = recompute;
        of.options.causal = of.options.stripedRingAttn = true;
        checkErrors(of);
      }
}

TEST_CASE("logits in pieces") {
  for (DType dtype : {DType::F32, DType::BF16})
    for (int64_t atOnce : {1, 13, 5 * 13 + 7, 31 * 13}) // a row, some, of a rank all but one
      for (int world : {1, 2}) {
        TransformerCase of = sharded(world);
        of.options.dtype = dtype;
        of.options.logitsAtOnce = atOnce;
        of.options.depth = 1;
        checkErrors(of);
      }
}

TEST_CASE("groups of query heads, softcap, another width inside") {
  for (int world : {1, 3}) {
    TransformerCase of = sharded(world);
    of.options.heads = 6;
    of.options.numGroupedQueryHeads = 3;
    of.options.softcap = 0.7;
    of.options.ffMult = 2;
    of.options.depth = 1;
    checkErrors(of);
  }
}

TEST_CASE("sub-rings share the batch") {
  for (int64_t batch : {1, 2, 5}) { // one leaves a ring idle
    TransformerCase of = sharded(4);
    of.batch = batch;
    of.ringSize = 2;
    of.options.causal = true;
    checkErrors(of);
    of.tellsWhole = true;
    checkErrors(of);
  }
}

TEST_CASE("auto_shard_seq: batches of any size, with labels and without") {
  for (const SequenceLayout &layout : layouts)
    for (bool labels : {true, false})
      for (int64_t ringSeqSize : {8, 16, 31}) { // rings of 4, 2 and 1
        TransformerCase of{.options = small(), .world = 4, .batches = {2, 0, 1, 3}};
        of.options.causal = true;
        of.options.ringSeqSize = of.options.bucketSize = ringSeqSize;
        of.options.layout = layout;
        of.labels = labels;
        of.keyMask = ringSeqSize == 16;
        checkErrors(of);
      }
}

TEST_CASE("a call without a ring, and a model without one") {
  for (bool labels : {true, false}) {
    TransformerCase of{.options = small(), .world = 2, .batches = {2, 1}, .ringOff = true};
    of.options.causal = true;
    of.labels = labels;
    checkErrors(of);
    of.ringOff = false;
    of.options.ringAttn = false;
    checkErrors(of);
    of.world = 1;
    of.batches = {2};
    checkErrors(of);
  }
}

TEST_CASE("a frequent token, whose rows are summed in pieces") {
  TransformerCase of = sharded(2);
  of.options.numTokens = 2;
  of.length = 700;
  of.batch = 3;
  of.options.depth = 1;
  of.options.causal = true;
  checkErrors(of);
}

TEST_CASE("the same bits every time") {
  TransformerCase of = sharded(3);
  of.options.causal = true;
  std::vector<ModuleError> first = errorsOf(of, transformerContext()),
                           second = errorsOf(of, transformerContext());
  REQUIRE(first.size() == second.size());
  for (size_t i = 0; i < first.size(); ++i)
    CHECK(first[i].ours == second[i].ours);
}
