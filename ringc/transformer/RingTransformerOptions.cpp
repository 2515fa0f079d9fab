#include "ringc/transformer/RingTransformerOptions.h"

#include "ringc/support/Error.h"

#include <limits>
#include <string>
#include <string_view>

namespace ringc {

namespace {

void requireInteger(std::string_view option, int64_t value, int64_t low, int64_t high) {
  if (value < low || value > high)
    throw InputError(option, std::to_string(value),
                     std::to_string(low) + " to " + std::to_string(high));
}

} // namespace

void validate(const RingTransformerOptions &options) {
  constexpr int64_t mostTokens = std::numeric_limits<int32_t>::max(), mostWidth = 1 << 20;
  requireInteger("num_tokens", options.numTokens, 1, mostTokens);
  requireInteger("dim", options.dim, 1, mostWidth);
  requireInteger("depth", options.depth, 1, mostWidth);
  requireInteger("ff_mult", options.ffMult, 1, mostWidth / options.dim);
  requireInteger("ignore_index", options.ignoreIndex, std::numeric_limits<int32_t>::min(),
                 mostTokens);
  requireInteger("logits_at_once", options.logitsAtOnce, 1, int64_t(1) << 40);
  auto lookBacks = int64_t(options.maxLookbackSeqLen.size());
  if (lookBacks > 1 && lookBacks != options.depth)
    throw InputError("max_lookback_seq_len", std::to_string(lookBacks) + " numbers",
                     "none, one, or one for each of the " + std::to_string(options.depth) +
                         " layers");
  if (options.autoShardSeq.value_or(false) && !options.ringAttn)
    throw InputError("auto_shard_seq", "true without ring_attn", "it needs ring_attn");
  for (int64_t layer = 0; layer < std::max<int64_t>(1, lookBacks); ++layer)
    validate(attentionOf(options, layer));
}

RingAttentionOptions attentionOf(const RingTransformerOptions &options, int64_t layer) {
  RingAttentionOptions made;
  made.dim = options.dim;
  made.dimHead = options.dimHead;
  made.heads = options.heads;
  made.numGroupedQueryHeads = options.numGroupedQueryHeads;
  made.causal = options.causal;
  made.bucketSize = options.bucketSize;
  made.ringAttn = options.ringAttn;
  made.ringSeqSize = options.ringSeqSize;
  if (!options.maxLookbackSeqLen.empty())
    made.maxLookbackSeqLen =
        options.maxLookbackSeqLen[options.maxLookbackSeqLen.size() == 1 ? 0 : size_t(layer)];
  made.stripedRingAttn = options.stripedRingAttn;
  made.autoShardSeq = options.autoShardSeq.value_or(options.ringAttn);
  made.forceRegularAttn = options.forceRegularAttn;
  made.rotaryEmbed = true;
  made.rotaryEmbedTheta = options.rotaryEmbedTheta;
  made.headMap = options.headMap;
  made.softcap = options.softcap;
  made.layout = options.layout;
  made.dtype = options.dtype;
  made.f32Products = options.f32Products;
  return made;
}

} // namespace ringc
