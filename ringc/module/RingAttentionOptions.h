#pragma once

#include "ringc/attention/Attention.h"
#include "ringc/compiler/spec/Fields.h"

#include <cstdint>
#include <optional>

namespace ringc {

/// What a RingAttention module is: the options of ring-attention-pytorch's module of that name, of
/// which each comment has the name there, and below them ours.
struct RingAttentionOptions {
  int64_t dim = 0;                  ///< `dim`: elements of a token, 1 or more
  int64_t dimHead = 64;             ///< `dim_head`: 1 to 256
  int64_t heads = 8;                ///< `heads`: of queries
  int64_t numGroupedQueryHeads = 1; ///< `num_grouped_query_heads`: query heads for each KV head
  bool causal = false;              ///< `causal`

  /// `bucket_size`: rows that flash attention takes at a time there; a divisor of ringSeqSize. It
  /// changes no result, and here nothing at all: tile sizes are tuned (AttentionOptions::tile).
  int64_t bucketSize = 512;

  bool ringAttn = false; ///< `ring_attn`: the sequence is dealt to ranks

  /// `ring_seq_size`: with autoShardSeq the rows that a rank shall hold at most. A ring has as few
  /// ranks as that takes, a divisor of the world; the batch is dealt to the rings.
  int64_t ringSeqSize = 512;

  /// `max_lookback_seq_len`: i - j is at most this, exactly; needs causal. Absent: unbounded.
  std::optional<int64_t> maxLookbackSeqLen = {};

  bool stripedRingAttn = false; ///< `striped_ring_attn`: needs causal and ringAttn

  /// `auto_shard_seq`: tokens come, and go, with the batch dealt to the ranks, and are dealt anew
  /// by sequence in between (autoShard); needs ringAttn.
  bool autoShardSeq = false;

  bool prenorm = true; ///< `prenorm`: RMSNorm before the projections
  bool forceRegularAttn =
      false;                ///< `force_regular_attn`: never a ring, as RingAttentionInputs::ringOff
  bool rotaryEmbed = false; ///< `rotary_embed`: half-split, at global positions
  double rotaryEmbedTheta = 10000; ///< `rotary_embed_theta`: finite, 1 or more

  /// Which query head reads which KV head: as there kv = q % h_kv, unlike the operator's.
  HeadMap headMap = HeadMap::Tiled;
  std::optional<double> softcap = {}; ///< AttentionOptions::softcap
  /// How the rows are dealt; absent: contiguous, or with stripedRingAttn row by row. No result
  /// depends on it.
  std::optional<SequenceLayout> layout = {};
  DType dtype = DType::F32; ///< f32, f16 or bf16: of tokens, results and products; sums are f32
  F32Products f32Products = F32Products::Tf32x3; ///< AttentionOptions::f32Products

  bool operator==(const RingAttentionOptions &) const = default;

  int64_t kvHeads() const { return heads / numGroupedQueryHeads; }
  int64_t qkvRows() const { return (heads + 2 * kvHeads()) * dimHead; }
};

template <FieldsOf<RingAttentionOptions> Self, class Visit>
void visitFields(Self &self, Visit &&visit) {
  auto &[dim, dimHead, heads, numGroupedQueryHeads, causal, bucketSize, ringAttn, ringSeqSize,
         maxLookbackSeqLen, stripedRingAttn, autoShardSeq, prenorm, forceRegularAttn, rotaryEmbed,
         rotaryEmbedTheta, headMap, softcap, layout, dtype, f32Products] = self;
  visit(Field{"dim", "elements of a token"}, dim);
  visit(Field{"dim_head", "elements of a head, 1 to 256"}, dimHead);
  visit(Field{"heads", "of queries"}, heads);
  visit(Field{"num_grouped_query_heads", "query heads for each KV head"}, numGroupedQueryHeads);
  visit(Field{"causal", "a query sees no later key"}, causal);
  visit(Field{"bucket_size", "a divisor of ring_seq_size; changes nothing"}, bucketSize);
  visit(Field{"ring_attn", "the sequence is dealt to ranks"}, ringAttn);
  visit(Field{"ring_seq_size", "rows that a rank holds at most, with auto_shard_seq"}, ringSeqSize);
  visit(Field{"max_lookback_seq_len", "i - j is at most this; null is unbounded"},
        maxLookbackSeqLen);
  visit(Field{"striped_ring_attn", "rows are dealt one by one"}, stripedRingAttn);
  visit(Field{"auto_shard_seq", "tokens come with the batch dealt to the ranks"}, autoShardSeq);
  visit(Field{"prenorm", "RMSNorm before the projections"}, prenorm);
  visit(Field{"force_regular_attn", "never a ring"}, forceRegularAttn);
  visit(Field{"rotary_embed", "half-split, at global positions"}, rotaryEmbed);
  visit(Field{"rotary_embed_theta", "1 or more"}, rotaryEmbedTheta);
  visit(Field{"head_map", "which query head reads which KV head"}, headMap);
  visit(Field{"softcap", "c of c * tanh(s / c); null is none"}, softcap);
  visit(Field{"layout", "how rows are dealt; null is contiguous, or as striped_ring_attn says"},
        layout);
  visit(Field{"dtype", "of tokens, results and products: f32, f16 or bf16"}, dtype);
  visit(Field{"f32", "how a GPU multiplies f32"}, f32Products);
}

/// Throws InputError naming the option that is wrong, its value and what is allowed.
void validate(const RingAttentionOptions &options);

/// The layout of a ring: as asked, or what stripedRingAttn says.
SequenceLayout layoutOf(const RingAttentionOptions &options);

/// The attention in it, of a ring of so many ranks.
AttentionOptions attentionOf(const RingAttentionOptions &options, int ringSize);

/// Ranks of a ring for a sequence of so many rows: with autoShardSeq the least divisor of `world`
/// that times ringSeqSize is not less, else all of `world`. Throws InputError where there is none
/// among several ranks.
int ringSizeFor(const RingAttentionOptions &options, int world, int64_t length);

} // namespace ringc
