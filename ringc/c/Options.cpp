#include "ringc/c/Options.h"

#include "ringc/attention/FieldTexts.h"
#include "ringc/c/ContextOptions.h"
#include "ringc/c/Status.h"
#include "ringc/c/TuneOptions.h"

namespace ringc::c {

namespace {

template <class Options> Options parse(std::string_view json) {
  return parseFields<Options>(json, "options", [](const Options &) {});
}

template <class Options> std::string helpOf() {
  nlohmann::json all = nlohmann::json::array();
  const Options defaults;
  visitFields(defaults, [&](const Field &field, const auto &member) {
    all.push_back({{"name", field.name},
                   {"documentation", field.documentation},
                   {"default", fields_json::write(member)}});
  });
  return all.dump(2);
}

std::string helpOf(std::string_view which) {
  if (which == "attention")
    return helpOf<AttentionOptions>();
  if (which == "decode")
    return helpOf<DecodeOptions>();
  if (which == "cache")
    return helpOf<KvCacheOptions>();
  if (which == "rope")
    return helpOf<RopeOptions>();
  if (which == "ring_attention")
    return helpOf<RingAttentionOptions>();
  if (which == "ring_transformer")
    return helpOf<RingTransformerOptions>();
  if (which == "context")
    return helpOf<ContextOptions>();
  if (which == "tune")
    return helpOf<TuneOptions>();
  if (which == "spec")
    return helpOf<Spec>();
  throw InputError("which", "\"" + std::string(which) + "\"",
                   "attention, decode, cache, rope, context, tune, spec, ring_attention, "
                   "ring_transformer");
}

} // namespace

AttentionOptions parseAttentionOptions(std::string_view json) {
  return parse<AttentionOptions>(json);
}
DecodeOptions parseDecodeOptions(std::string_view json) { return parse<DecodeOptions>(json); }
KvCacheOptions parseCacheOptions(std::string_view json) { return parse<KvCacheOptions>(json); }
RopeOptions parseRopeOptions(std::string_view json) { return parse<RopeOptions>(json); }
RingAttentionOptions parseRingAttentionOptions(std::string_view json) {
  return parse<RingAttentionOptions>(json);
}
RingTransformerOptions parseRingTransformerOptions(std::string_view json) {
  return parse<RingTransformerOptions>(json);
}
ContextOptions parseContextOptions(std::string_view json) { return parse<ContextOptions>(json); }
TuneOptions parseTuneOptions(std::string_view json) { return parse<TuneOptions>(json); }

} // namespace ringc::c

ringc_status ringc_options_help(const char *which, char **json) {
  using namespace ringc::c;
  return call([&] {
    required("json", json);
    *json = givenText(helpOf(textOf(which)));
  });
}
