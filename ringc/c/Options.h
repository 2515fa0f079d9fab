#pragma once

#include "ringc/attention/Attention.h"
#include "ringc/attention/Rope.h"
#include "ringc/decode/Decode.h"
#include "ringc/decode/KvCache.h"
#include "ringc/module/RingAttentionOptions.h"
#include "ringc/transformer/RingTransformerOptions.h"

#include <string_view>

namespace ringc::c {

/// From JSON, with the fields that visitFields lists. All throw InputError naming field, value and
/// what is allowed. What a field says beyond its type is checked where the options are used.
AttentionOptions parseAttentionOptions(std::string_view json);
DecodeOptions parseDecodeOptions(std::string_view json);
KvCacheOptions parseCacheOptions(std::string_view json);
RopeOptions parseRopeOptions(std::string_view json);
RingAttentionOptions parseRingAttentionOptions(std::string_view json);
RingTransformerOptions parseRingTransformerOptions(std::string_view json);

} // namespace ringc::c
