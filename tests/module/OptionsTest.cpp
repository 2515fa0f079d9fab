// Which options go together; the rest of the original's are refused there too.

#include "ringc/module/RingAttentionOptions.h"
#include "ringc/support/Error.h"
#include "tests/module/ModuleTest.h"

#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <string>

using namespace ringc;
using namespace ringc::test;

static std::string refusal(const std::function<void(RingAttentionOptions &)> &change) {
  RingAttentionOptions options;
  options.dim = 64;
  change(options);
  return messageOf<InputError>([&] { validate(options); });
}

TEST_CASE("the defaults are the original's") {
  RingAttentionOptions options;
  CHECK(refusal([](auto &) {}) == "");
  CHECK(options.dimHead == 64);
  CHECK(options.heads == 8);
  CHECK(options.kvHeads() == 8);
  CHECK(options.bucketSize == 512);
  CHECK(options.ringSeqSize == 512);
  CHECK(options.prenorm);
  CHECK(options.headMap == HeadMap::Tiled);
  CHECK(!options.causal);
  CHECK(!options.ringAttn);
  CHECK(!options.stripedRingAttn);
  CHECK(!options.autoShardSeq);
  CHECK(!options.rotaryEmbed);
  CHECK(options.rotaryEmbedTheta == 10000);
}

TEST_CASE("each refusal names the option, its value and what is allowed") {
  CHECK(refusal([](auto &o) { o.dim = 0; }) == "dim: got 0, allowed: 1 to 1048576");
  CHECK(refusal([](auto &o) { o.dimHead = 300; }) == "dim_head: got 300, allowed: 1 to 256");
  CHECK(refusal([](auto &o) { o.heads = 0; }) == "heads: got 0, allowed: 1 to 1048576");
  CHECK(refusal([](auto &o) { o.numGroupedQueryHeads = 3; }) ==
        "num_grouped_query_heads: got 3, allowed: a divisor of heads, 8");
  CHECK(refusal([](auto &o) { o.numGroupedQueryHeads = 0; }) ==
        "num_grouped_query_heads: got 0, allowed: a divisor of heads, 8");
  CHECK(refusal([](auto &o) { o.bucketSize = 500; }) ==
        "bucket_size: got 500, allowed: a divisor of ring_seq_size, 512");
  CHECK(refusal([](auto &o) { o.ringSeqSize = 0; }) ==
        "ring_seq_size: got 0, allowed: 1 to 2147483647");
  CHECK(refusal([](auto &o) { o.maxLookbackSeqLen = 5; }) ==
        "max_lookback_seq_len: got 5 without causal, allowed: it needs causal");
  CHECK(refusal([](auto &o) { o.maxLookbackSeqLen = -1; }) ==
        "max_lookback_seq_len: got -1, allowed: 0 to 2147483647");
  CHECK(refusal([](auto &o) { o.stripedRingAttn = true; }) ==
        "striped_ring_attn: got true without ring_attn, allowed: it needs ring_attn");
  CHECK(refusal([](auto &o) { o.stripedRingAttn = o.ringAttn = true; }) ==
        "striped_ring_attn: got true without causal, allowed: it needs causal");
  CHECK(refusal([](auto &o) { o.autoShardSeq = true; }) ==
        "auto_shard_seq: got true without ring_attn, allowed: it needs ring_attn");
  CHECK(refusal([](auto &o) { o.layout = SequenceLayout::zigzag(); }) ==
        "layout: got zigzag without ring_attn, allowed: it needs ring_attn");
  CHECK(refusal([](auto &o) {
          o.stripedRingAttn = o.ringAttn = o.causal = true;
          o.layout = SequenceLayout::zigzag();
        }) == "layout: got zigzag, allowed: striped, or striped:S, with striped_ring_attn");
  CHECK(refusal([](auto &o) {
          o.rotaryEmbed = true;
          o.dimHead = 7;
        }) == "dim_head: got 7, allowed: an even number with rotary_embed");
  CHECK(refusal([](auto &o) { o.rotaryEmbedTheta = NAN; }) ==
        "rotary_embed_theta: got nan, allowed: a finite number, 1 or more");
  CHECK(refusal([](auto &o) { o.dtype = DType::I32; }) ==
        "dtype: got i32, allowed: f32, f16, bf16");
  CHECK(refusal([](auto &o) { o.softcap = -1; }) == "softcap: got -1, allowed: 1e-30 to 1e30");
}

TEST_CASE("what the attention is asked for") {
  RingAttentionOptions options;
  options.dim = 64;
  options.numGroupedQueryHeads = 4;
  options.causal = options.ringAttn = options.stripedRingAttn = true;
  options.maxLookbackSeqLen = 100;
  AttentionOptions attention = attentionOf(options, 2);
  CHECK(attention.heads == 8);
  CHECK(attention.kvHeads == 2);
  CHECK(attention.headMap == HeadMap::Tiled);
  CHECK(attention.causal);
  CHECK(attention.window == Window{.left = 100, .right = -1});
  CHECK(attention.layout == SequenceLayout::striped());
  CHECK(attention.ringSize == 2);
}

TEST_CASE("a ring has as many ranks as ring_seq_size takes") {
  RingAttentionOptions options;
  options.dim = 64;
  options.ringAttn = options.autoShardSeq = true;
  CHECK(ringSizeFor(options, 4, 1024) == 2);
  CHECK(ringSizeFor(options, 4, 1025) == 4);
  CHECK(ringSizeFor(options, 4, 100) == 1);
  CHECK(ringSizeFor(options, 3, 1024) == 3);
  CHECK(ringSizeFor(options, 6, 1500) == 3);
  CHECK(ringSizeFor(options, 1, 100000) == 1); // nothing is dealt
  CHECK(messageOf<InputError>([&] { (void)ringSizeFor(options, 2, 1025); }) ==
        "tokens of a sequence: got 1025, allowed: at most 1024, ring_seq_size for each of the 2 "
        "ranks");
  options.autoShardSeq = false;
  CHECK(ringSizeFor(options, 4, 100) == 4);
}
