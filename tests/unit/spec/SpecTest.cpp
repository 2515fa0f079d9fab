#include "ringc/compiler/spec/SpecJson.h"
#include "ringc/support/Error.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <random>

using namespace ringc;
using nlohmann::json;

namespace {

/// Every field differs from its default.
Spec fullSpec() {
  return {.kernel = "attention_backward_dq",
          .source = "my.tile",
          .headDim = 96,
          .valueHeadDim = 80,
          .groupSize = 4,
          .headMap = HeadMap::Tiled,
          .dtype = ElementType::BF16,
          .f32Products = F32Products::Tf32,
          .queryLayout = LayoutKind::Zigzag,
          .keyLayout = LayoutKind::BucketStriped,
          .mask = {"causal", "user.tile:dilated"},
          .score = {"softcap"},
          .constants = {{"BM", 32}},
          .types = {{"U", ElementType::F16}},
          .tile = {{"q", 64}, {"kv", 128}},
          .target = "native"};
}

template <class Action> std::string messageOf(Action action) {
  try {
    action();
  } catch (const InputError &error) {
    return error.what();
  }
  return "";
}

std::string setMessage(std::string_view assignment) {
  Spec spec;
  return messageOf([&] { set(spec, assignment); });
}
std::string jsonMessage(const std::string &text) {
  return messageOf([&] { parseSpec(text, "a.json"); });
}

template <class Enum> void checkNames() {
  for (const auto &[value, name] : EnumNames<Enum>::table) {
    CHECK(enumName(value) == name);
    CHECK(parseEnum<Enum>("field", name) == value);
  }
}

} // namespace

TEST_CASE("every enum's names have their inverse") {
  checkNames<HeadMap>();
  checkNames<LayoutKind>();
  checkNames<ElementType>();
}

TEST_CASE("JSON has every field and keeps it") {
  json full = toJson(fullSpec()), defaults = toJson(Spec{});
  CHECK(full.size() == 16);
  for (const auto &[name, value] : full.items())
    CHECK_MESSAGE(value != defaults[name], name);
  CHECK(specFromJson(full) == fullSpec());
  CHECK(specFromJson(json::object()) == Spec{});
  CHECK(full["mask"] == json{"causal", "user.tile:dilated"});
  CHECK(full["tile"] == json{{"q", 64}, {"kv", 128}});
}

TEST_CASE("a spec from anywhere is checked") {
  CHECK(
      jsonMessage(R"({"head_dims": 64})") ==
      "a.json: unknown field \"head_dims\", allowed: kernel, source, head_dim, value_head_dim, "
      "group_size, head_map, dtype, f32, query_layout, key_layout, mask, score, constants, types, "
      "tile, target; did you mean head_dim?");
  CHECK(jsonMessage(R"({"head_dim": 257})") ==
        "a.json: head_dim: got 257, allowed: an integer from 1 to 256");
  CHECK(jsonMessage(R"({"head_dim": "64"})") ==
        "a.json: head_dim: got \"64\", allowed: an integer from 1 to 256");
  CHECK(jsonMessage(R"({"head_dim": 64.5})") ==
        "a.json: head_dim: got 64.5, allowed: an integer from 1 to 256");
  CHECK(jsonMessage(R"({"head_dim": 18446744073709551615})") ==
        "a.json: head_dim: got 18446744073709551615, allowed: an integer from 1 to 256");
  CHECK(jsonMessage(R"({"group_size": 0})") ==
        "a.json: group_size: got 0, allowed: an integer from 1 to 1024");
  CHECK(jsonMessage(R"({"dtype": "float"})") ==
        "a.json: dtype: got float, allowed: f32, f16, bf16, i32, bool");
  CHECK(jsonMessage(R"({"dtype": "bool"})") == "a.json: dtype: got bool, allowed: f32, f16, bf16");
  CHECK(jsonMessage(R"({"head_map": "tile"})") ==
        "a.json: head_map: got tile, allowed: blocked, tiled; did you mean tiled?");
  CHECK(jsonMessage(R"({"mask": "causal"})") == "a.json: mask: got \"causal\", allowed: an array");
  CHECK(jsonMessage(R"({"mask": ["causal", 1]})") == "a.json: mask[1]: got 1, allowed: a string");
  CHECK(jsonMessage(R"({"mask": ["a b"]})") ==
        "a.json: mask: got \"a b\", allowed: a name of the library, or FILE.tile:NAME");
  CHECK(jsonMessage(R"({"score": [":x"]})") ==
        "a.json: score: got \":x\", allowed: a name of the library, or FILE.tile:NAME");
  CHECK(jsonMessage(R"({"tile": {"q": 0}})") ==
        "a.json: tile.q: got 0, allowed: an integer from 1 to 4096");
  CHECK(jsonMessage(R"({"constants": {"1x": 1}})") ==
        "a.json: a name in constants: got \"1x\", allowed: a name of letters, digits and _");
  CHECK(jsonMessage(R"({"kernel": ""})") ==
        "a.json: kernel: got \"\", allowed: a name of letters, digits and _");
  CHECK(jsonMessage(R"({"target": "sm_75"})") ==
        "a.json: target: got \"sm_75\", allowed: cpu, native, sm_80, sm_86, sm_89, sm_90, sm_100, "
        "sm_120 (this build has no other)");
  CHECK(jsonMessage("[]") == "a.json: JSON: got [], allowed: an object");
  CHECK(jsonMessage("{\n  \"kernel\": }") == "a.json:2:13: error: this is not JSON");
  CHECK(jsonMessage("") == "a.json:1:1: error: this is not JSON");
  CHECK(jsonMessage(std::string(1'000'000, '[')) ==
        "a.json: this is JSON that nests deeper than 32 levels");
  CHECK(jsonMessage("\xef\xbb\xbf{}") == "");
}

TEST_CASE("specs made in C++ are held to the same rules") {
  CHECK(messageOf([] { validate({.headDim = 0}); }) ==
        "head_dim: got 0, allowed: an integer from 1 to 256");
  CHECK(messageOf([] { validate({.tile = {{"kv", -1}}}); }) ==
        "tile.kv: got -1, allowed: an integer from 1 to 4096");
  CHECK(messageOf([] { validate({.source = "\xff.tile"}); }) == "source: the name is not UTF-8");
  CHECK_NOTHROW(validate(fullSpec()));
}

TEST_CASE("--set reaches every field by the name that it has in JSON") {
  Spec spec;
  for (const char *assignment :
       {"kernel=attention_backward_dq", "source=my.tile", "head_dim=96", "value_head_dim=80",
        "group_size=4", "head_map=tiled", "dtype=bf16", "f32=tf32", "query_layout=zigzag",
        "key_layout=bucket_striped", "mask=causal,user.tile:dilated", "score=softcap",
        "constants.BM=32", "types.U=f16", "tile=q=32,kv=128", "tile.q=64", "target=native"})
    set(spec, assignment);
  CHECK(spec == fullSpec());
  set(spec, "mask=");
  CHECK(spec.mask.empty());

  CHECK(setMessage("head_dim=x") == "head_dim: got \"x\", allowed: an integer from 1 to 256");
  CHECK(setMessage("head_dim=") == "head_dim: got \"\", allowed: an integer from 1 to 256");
  CHECK(setMessage("heddim=1") == "--set: unknown field \"heddim\"; did you mean head_dim?");
  CHECK(setMessage("zzzzzzzz=1") == "--set: unknown field \"zzzzzzzz\"");
  CHECK(setMessage("head_dim") == "--set: got head_dim, allowed: FIELD=VALUE");
  CHECK(setMessage("head_dim.q=1") == "--set: got head_dim.q=1, allowed: head_dim=VALUE");
  CHECK(setMessage("tile.q=9999") == "tile.q: got 9999, allowed: an integer from 1 to 4096");
  CHECK(setMessage("tile=64") == "tile: got \"64\", allowed: an object");
}

TEST_CASE("the reference names every field") {
  std::string text = "\n" + describeSpec();
  json defaults = toJson(Spec{});
  for (const auto &item : defaults.items())
    CHECK_MESSAGE(text.find("\n" + item.key() + " ") != std::string::npos, item.key());
  CHECK(text.find("an integer from 1 to 256 (64)") != std::string::npos);
}

TEST_CASE("functions are named in the library or in a file") {
  CHECK(splitFunctionName("causal") == FunctionName{"", "causal"});
  CHECK(splitFunctionName("a:b.tile:m") == FunctionName{"a:b.tile", "m"});
  CHECK(sourceFiles({.source = "k.tile", .mask = {"causal", "m.tile:a"}, .score = {"k.tile:b"}}) ==
        std::vector<std::string>{"k.tile", "m.tile"});
}

TEST_CASE("a damaged spec is refused or valid, never worse") {
  std::mt19937 random(1);
  const std::string good = toJson(fullSpec()).dump();
  for (int trial = 0; trial < 3000; ++trial) {
    std::string text = good;
    for (int change = 0; change < 2; ++change)
      text[random() % text.size()] = static_cast<char>(random());
    std::string message = messageOf([&] { validate(parseSpec(text, "a.json")); });
    CHECK((message.empty() || message.rfind("a.json", 0) == 0));
  }
}

TEST_CASE("GPUs have names") {
  for (const char *name : {"sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120"}) {
    Target target = gpuTarget(name);
    CHECK(target.isGpu());
    CHECK(target.name == name);
    CHECK(target.chip == "sm_" + std::to_string(target.sm));
    CHECK(target.sharedBytes % 1024 == 0);
    CHECK(targetFromJson(toJson(target)) == target);
    CHECK(availableTargets().find(name) != std::string::npos);
    requireTarget(name);
  }
  CHECK(!Target{}.isGpu());
  CHECK(gpuTarget("sm_80").sharedBytes == 163 * 1024);
  CHECK_THROWS_WITH_AS(gpuTarget("sm_75"),
                       "target: got \"sm_75\", allowed: sm_80, sm_86, sm_89, sm_90, sm_100, sm_120",
                       InputError);
}

TEST_CASE("a target keeps all its facts") {
  Target target = {.name = "native",
                   .triple = "x86_64-pc-linux-gnu",
                   .chip = "znver4",
                   .features = "+avx2",
                   .vectorBytes = 64,
                   .vectorRegisters = 32,
                   .hasBf16Dot = true,
                   .pairSpeed = 50,
                   .hasBf16Tiles = true,
                   .hasF16Tiles = true,
                   .tileSpeed = 800,
                   .l1Bytes = 49152,
                   .l2Bytes = 2097152,
                   .sm = 80,
                   .sharedBytes = 166912};
  json written = toJson(target), defaults = toJson(Target{});
  for (const auto &[name, value] : defaults.items())
    CHECK_MESSAGE(value != written[name], name);
  CHECK(targetFromJson(written) == target);
  std::string message = messageOf([] { targetFromJson(json{{"vector_byte", 1}}); });
  CHECK(message.find("target: unknown field \"vector_byte\", allowed: name, ") == 0);
  CHECK(message.find("; did you mean vector_bytes?") != std::string::npos);
}
