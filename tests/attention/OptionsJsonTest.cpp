// Options of attentions as JSON, by their lists of fields.

#include "ringc/attention/FieldTexts.h"
#include "ringc/decode/Decode.h"
#include "ringc/decode/KvCache.h"

#include <doctest/doctest.h>

#include <string>

using namespace ringc;

namespace {

template <class Options> Options parsed(const std::string &text) {
  return parseFields<Options>(text, "o", [](const Options &) {});
}

template <class Options> void checkRoundTrip(const Options &options) {
  std::string text = fields_json::write(options).dump();
  CHECK(fields_json::write(parsed<Options>(text)).dump() == text);
}

} // namespace

TEST_CASE("options come back from their JSON") {
  AttentionOptions options{.heads = 8,
                           .kvHeads = 2,
                           .headDim = 32,
                           .valueHeadDim = 16,
                           .headMap = HeadMap::Tiled,
                           .dtype = DType::BF16,
                           .f32Products = F32Products::Tf32,
                           .scale = 0.1,
                           .causal = true,
                           .prefix = 3,
                           .window = {-1, 7},
                           .softcap = 30,
                           .alibi = true,
                           .alibiSlopes = {0.5F, 0.25F},
                           .masks = {{"a.tile", "m", "text"}, {"b.tile", "n", {}}},
                           .scores = {{"c.tile", "s", {}}},
                           .layout = SequenceLayout::striped(4),
                           .ringSize = 2,
                           .schedule = Schedule::ring(4),
                           .backward = BackwardForm::Fused,
                           .tile = {{"q", 64}},
                           .tune = "table.json"};
  checkRoundTrip(options);
  checkRoundTrip(AttentionOptions());
  checkRoundTrip(DecodeOptions{.attention = options, .split = 128});
  checkRoundTrip(KvCacheOptions{.pages = 9, .dtype = DType::F16, .entries = 3});
  nlohmann::json json = fields_json::write(options);
  CHECK(json["layout"] == "striped:4");
  CHECK(json["schedule"] == "ring:4");
  CHECK(json["window"]["right"] == 7);
  CHECK(json["masks"][1]["text"].is_null());
  CHECK(fields_json::write(DecodeOptions())["split"] == 0);
  CHECK(fields_json::write(DecodeOptions())["heads"] == 1);
}

TEST_CASE("what is absent, or null, is the default") {
  auto options = parsed<AttentionOptions>(R"({"scale": null, "schedule": null, "heads": 4})");
  CHECK(options.heads == 4);
  CHECK_FALSE(options.scale);
  CHECK_FALSE(options.schedule);
  CHECK(parsed<AttentionOptions>(R"({"scale": 2})").scale == 2.0);
}
