#include "ringc/c/Options.h"
#include "ringc/c/Status.h"
#include "ringc/support/Error.h"

#include <string>

using namespace ringc::c;

ringc_status ringc_module_check(const char *module, const char *options_json) {
  return call([&] {
    std::string_view which = textOf(module);
    if (which == "ring_attention")
      validate(parseRingAttentionOptions(optionsText(options_json)));
    else if (which == "ring_transformer")
      validate(parseRingTransformerOptions(optionsText(options_json)));
    else
      throw ringc::InputError("module", "\"" + std::string(which) + "\"",
                              "ring_attention, ring_transformer");
  });
}

ringc_status ringc_module_ring_size(const char *options_json, int world, int64_t length,
                                    int *ranks) {
  return call([&] {
    required("ranks", ranks);
    ringc::RingAttentionOptions options = parseRingAttentionOptions(optionsText(options_json));
    validate(options);
    if (world < 1)
      throw ringc::InputError("world", std::to_string(world), "1 or more ranks");
    *ranks = ringSizeFor(options, world, length);
  });
}
