#include "ringc/module/RingAttentionOptions.h"

#include "ringc/attention/shared/Options.h"
#include "ringc/support/Error.h"

#include <cmath>
#include <sstream>
#include <string>
#include <string_view>

namespace ringc {

namespace {

void require(bool holds, std::string_view option, const std::string &value,
             const std::string &allowed) {
  if (!holds)
    throw InputError(option, value, allowed);
}

void requireInteger(std::string_view option, int64_t value, int64_t low, int64_t high) {
  require(value >= low && value <= high, option, std::to_string(value),
          std::to_string(low) + " to " + std::to_string(high));
}

/// An option that only goes with another.
void requireWith(bool given, bool other, std::string_view option, const std::string &value,
                 std::string_view needs) {
  require(!given || other, option, value + " without " + std::string(needs),
          "it needs " + std::string(needs));
}

} // namespace

void validate(const RingAttentionOptions &options) {
  constexpr int64_t mostWidth = 1 << 20, mostRows = (int64_t(1) << 31) - 1;
  requireInteger("dim", options.dim, 1, mostWidth);
  requireInteger("dim_head", options.dimHead, 1, 256);
  requireInteger("heads", options.heads, 1, mostWidth);
  require(options.numGroupedQueryHeads >= 1 && options.heads % options.numGroupedQueryHeads == 0,
          "num_grouped_query_heads", std::to_string(options.numGroupedQueryHeads),
          "a divisor of heads, " + std::to_string(options.heads));
  requireInteger("heads * dim_head", options.heads * options.dimHead, 1, mostWidth);
  requireInteger("ring_seq_size", options.ringSeqSize, 1, mostRows);
  require(options.bucketSize >= 1 && options.ringSeqSize % options.bucketSize == 0, "bucket_size",
          std::to_string(options.bucketSize),
          "a divisor of ring_seq_size, " + std::to_string(options.ringSeqSize));
  if (options.maxLookbackSeqLen) {
    requireInteger("max_lookback_seq_len", *options.maxLookbackSeqLen, 0, mostRows);
    requireWith(true, options.causal, "max_lookback_seq_len",
                std::to_string(*options.maxLookbackSeqLen), "causal");
  }
  requireWith(options.stripedRingAttn, options.ringAttn, "striped_ring_attn", "true", "ring_attn");
  requireWith(options.stripedRingAttn, options.causal, "striped_ring_attn", "true", "causal");
  requireWith(options.autoShardSeq, options.ringAttn, "auto_shard_seq", "true", "ring_attn");
  if (options.layout) {
    requireWith(true, options.ringAttn, "layout", nameOf(*options.layout), "ring_attn");
    require(!options.stripedRingAttn || options.layout->kind == SequenceLayout::Kind::Striped,
            "layout", nameOf(*options.layout), "striped, or striped:S, with striped_ring_attn");
  }
  require(!options.rotaryEmbed || options.dimHead % 2 == 0, "dim_head",
          std::to_string(options.dimHead), "an even number with rotary_embed");
  std::ostringstream theta;
  theta << options.rotaryEmbedTheta;
  require(std::isfinite(options.rotaryEmbedTheta) && options.rotaryEmbedTheta >= 1,
          "rotary_embed_theta", theta.str(), "a finite number, 1 or more");
  validate(attentionOf(options, 0));
}

SequenceLayout layoutOf(const RingAttentionOptions &options) {
  return options.layout.value_or(options.stripedRingAttn ? SequenceLayout::striped()
                                                         : SequenceLayout::contiguous());
}

AttentionOptions attentionOf(const RingAttentionOptions &options, int ringSize) {
  AttentionOptions made;
  made.heads = options.heads;
  made.kvHeads = options.kvHeads();
  made.headDim = options.dimHead;
  made.headMap = options.headMap;
  made.dtype = options.dtype;
  made.f32Products = options.f32Products;
  made.causal = options.causal;
  made.window.left = options.maxLookbackSeqLen.value_or(-1);
  made.softcap = options.softcap;
  if (ringSize != 1)
    made.layout = layoutOf(options);
  made.ringSize = ringSize;
  return made;
}

int ringSizeFor(const RingAttentionOptions &options, int world, int64_t length) {
  if (!options.autoShardSeq || world == 1)
    return world;
  for (int size = 1; size <= world; ++size)
    if (world % size == 0 && length <= size * options.ringSeqSize)
      return size;
  throw InputError("tokens of a sequence", std::to_string(length),
                   "at most " + std::to_string(world * options.ringSeqSize) +
                       ", ring_seq_size for each of the " + std::to_string(world) + " ranks");
}

} // namespace ringc
