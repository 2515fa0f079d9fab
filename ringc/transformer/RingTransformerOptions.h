#pragma once

#include "ringc/compiler/spec/Fields.h"
#include "ringc/module/RingAttentionOptions.h"

#include <cstdint>
#include <optional>
#include <vector>

namespace ringc {

/// What a RingTransformer is: the options of ring-attention-pytorch's module of that name, of which
/// each comment has the name there, and below them ours. The attention's are RingAttentionOptions'.
struct RingTransformerOptions {
  int64_t numTokens = 0; ///< `num_tokens`: tokens are 0 .. num_tokens - 1
  int64_t dim = 0;       ///< `dim`
  int64_t depth = 1;     ///< `depth`: layers, each of attention and feed-forward
  bool causal = false;   ///< `causal`
  int64_t dimHead = 64;  ///< `dim_head`: even
  int64_t heads = 8;     ///< `heads`
  int64_t ffMult = 4;    ///< `ff_mult`: the feed-forward has ff_mult * dim elements inside
  int64_t numGroupedQueryHeads = 1; ///< `num_grouped_query_heads`
  int64_t bucketSize = 512;         ///< `bucket_size`
  bool ringAttn = false;            ///< `ring_attn`
  bool stripedRingAttn = false;     ///< `striped_ring_attn`
  int64_t ringSeqSize = 512;        ///< `ring_seq_size`
  /// `auto_shard_seq`; absent: with ringAttn.
  std::optional<bool> autoShardSeq = {};
  /// `max_lookback_seq_len`: of all layers where there is one, else of each; empty: unbounded.
  std::vector<std::optional<int64_t>> maxLookbackSeqLen = {};
  double rotaryEmbedTheta = 10000; ///< `rotary_embed_theta`
  int64_t ignoreIndex = -1;        ///< `ignore_index`: a label that does not count
  bool forceRegularAttn = false;   ///< `force_regular_attn`

  HeadMap headMap = HeadMap::Tiled;          ///< RingAttentionOptions::headMap
  std::optional<double> softcap = {};        ///< of attention's logits
  std::optional<SequenceLayout> layout = {}; ///< RingAttentionOptions::layout
  DType dtype = DType::F32; ///< of activations and products; weights and sums are f32
  F32Products f32Products = F32Products::Tf32x3; ///< RingAttentionOptions::f32Products
  /// A layer's activations are not kept for the backward, but computed anew from its input, which
  /// is. It changes no result.
  bool recompute = false;
  /// Logits that a loss has in memory at once. Of a rank that has more of them, rows times
  /// numTokens, they are computed twice, in pieces: last bits differ.
  int64_t logitsAtOnce = int64_t(1) << 28;

  bool operator==(const RingTransformerOptions &) const = default;

  int64_t dimInner() const { return ffMult * dim; }
};

template <FieldsOf<RingTransformerOptions> Self, class Visit>
void visitFields(Self &self, Visit &&visit) {
  auto &[numTokens, dim, depth, causal, dimHead, heads, ffMult, numGroupedQueryHeads, bucketSize,
         ringAttn, stripedRingAttn, ringSeqSize, autoShardSeq, maxLookbackSeqLen, rotaryEmbedTheta,
         ignoreIndex, forceRegularAttn, headMap, softcap, layout, dtype, f32Products, recompute,
         logitsAtOnce] = self;
  visit(Field{"num_tokens", "tokens are 0 to num_tokens - 1"}, numTokens);
  visit(Field{"dim", "elements of a token"}, dim);
  visit(Field{"depth", "layers, each of attention and feed-forward"}, depth);
  visit(Field{"causal", "a query sees no later key"}, causal);
  visit(Field{"dim_head", "elements of a head, even"}, dimHead);
  visit(Field{"heads", "of queries"}, heads);
  visit(Field{"ff_mult", "the feed-forward has ff_mult * dim elements inside"}, ffMult);
  visit(Field{"num_grouped_query_heads", "query heads for each KV head"}, numGroupedQueryHeads);
  visit(Field{"bucket_size", "a divisor of ring_seq_size; changes nothing"}, bucketSize);
  visit(Field{"ring_attn", "the sequence is dealt to ranks"}, ringAttn);
  visit(Field{"striped_ring_attn", "rows are dealt one by one"}, stripedRingAttn);
  visit(Field{"ring_seq_size", "rows that a rank holds at most, with auto_shard_seq"}, ringSeqSize);
  visit(Field{"auto_shard_seq", "tokens come with the batch dealt to the ranks; null is ring_attn"},
        autoShardSeq);
  visit(Field{"max_lookback_seq_len", "of all layers where there is one, else of each; or none"},
        maxLookbackSeqLen);
  visit(Field{"rotary_embed_theta", "1 or more"}, rotaryEmbedTheta);
  visit(Field{"ignore_index", "a label that does not count"}, ignoreIndex);
  visit(Field{"force_regular_attn", "never a ring"}, forceRegularAttn);
  visit(Field{"head_map", "which query head reads which KV head"}, headMap);
  visit(Field{"softcap", "c of c * tanh(s / c); null is none"}, softcap);
  visit(Field{"layout", "how rows are dealt; null is contiguous, or as striped_ring_attn says"},
        layout);
  visit(Field{"dtype", "of activations and products: f32, f16 or bf16"}, dtype);
  visit(Field{"f32", "how a GPU multiplies f32"}, f32Products);
  visit(Field{"recompute", "activations are computed anew for the backward"}, recompute);
  visit(Field{"logits_at_once", "that a loss has in memory"}, logitsAtOnce);
}

/// Throws InputError naming the option that is wrong, its value and what is allowed.
void validate(const RingTransformerOptions &options);

/// The attention of a layer, 0 to depth - 1.
RingAttentionOptions attentionOf(const RingTransformerOptions &options, int64_t layer);

} // namespace ringc
