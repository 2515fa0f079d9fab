#include "ringc/compiler/spec/SpecJson.h"
#include "ringc/support/Error.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

using namespace ringc;

TEST_CASE("the model chooses what the spec leaves open") {
  Target target = {.vectorBytes = 64, .vectorRegisters = 32};
  CHECK(chooseTileConfig({}, target).tile == std::map<std::string, int64_t>{{"q", 64}, {"kv", 64}});
  CHECK(chooseTileConfig({.tile = {{"q", 16}}}, target).tile ==
        std::map<std::string, int64_t>{{"q", 16}, {"kv", 64}});
  CHECK(chooseTileConfig({.kernel = "row_softmax"}, target).tile.empty());
  CHECK(chooseTileConfig({.kernel = "matmul", .tile = {{"m", 8}}}, target).tile ==
        std::map<std::string, int64_t>{{"m", 8}});
}

TEST_CASE("a product of the library's on a host has tiles that its extents fill") {
  using Tiles = std::map<std::string, int64_t>;
  Target target = {.vectorBytes = 64, .vectorRegisters = 32};
  auto tiles = [&](int64_t m, int64_t n, int64_t k) {
    return chooseTileConfig({.kernel = "matmul_bt"}, target, {{"M", m}, {"N", n}, {"K", k}}).tile;
  };
  CHECK(tiles(4096, 2048, 2048) == Tiles{{"m", 128}, {"n", 256}, {"k", 128}});
  CHECK(tiles(1, 20, 0) == Tiles{{"m", 64}, {"n", 64}, {"k", 64}});
  CHECK(tiles(65, 65, 65) == Tiles{{"m", 128}, {"n", 128}, {"k", 128}});
  CHECK(tiles(1000, 1000, 1000) == Tiles{{"m", 128}, {"n", 256}, {"k", 128}});
  CHECK(tiles(192, 320, 192) == Tiles{{"m", 64}, {"n", 64}, {"k", 64}});
  std::map<std::string, int64_t> large = {{"M", 4096}, {"N", 4096}, {"K", 4096}};
  CHECK(chooseTileConfig({.kernel = "matmul", .tile = {{"m", 8}}}, target, large).tile ==
        Tiles{{"m", 8}, {"n", 256}, {"k", 128}});
  CHECK(chooseTileConfig({.kernel = "matmul", .source = "my.tile"}, target, large).tile.empty());
  CHECK(chooseTileConfig({.kernel = "matmul"}, target, {{"M", 64}}).tile.empty());
  CHECK(chooseTileConfig({.kernel = "matmul"}, gpuTarget("sm_90"), large).tile.empty());
}

TEST_CASE("on a GPU tiles are as large as registers and the chip's shared memory allow") {
  using Tiles = std::map<std::string, int64_t>;
  auto tiles = [](int64_t d, ElementType type, const char *chip,
                  const char *kernel = "attention_forward") {
    return chooseTileConfig({.kernel = kernel, .headDim = d, .dtype = type}, gpuTarget(chip)).tile;
  };
  CHECK(tiles(64, ElementType::BF16, "sm_90") == Tiles{{"q", 128}, {"kv", 128}});
  CHECK(tiles(128, ElementType::BF16, "sm_90") == Tiles{{"q", 128}, {"kv", 64}});
  CHECK(tiles(64, ElementType::BF16, "sm_86") == Tiles{{"q", 128}, {"kv", 32}}); // 99 KiB for two
  CHECK(tiles(128, ElementType::BF16, "sm_86") == Tiles{{"q", 64}, {"kv", 32}});
  CHECK(tiles(128, ElementType::F32, "sm_90") == Tiles{{"q", 64}, {"kv", 64}});
  CHECK(tiles(128, ElementType::F32, "sm_80") == Tiles{{"q", 64}, {"kv", 64}});
  CHECK(tiles(64, ElementType::F32, "sm_90") == Tiles{{"q", 128}, {"kv", 64}});
  // Under a mask f32 has fewer products in a round.
  Spec masked = {.headDim = 64, .mask = {"causal"}};
  CHECK(chooseTileConfig(masked, gpuTarget("sm_90")).tile == Tiles{{"q", 64}, {"kv", 64}});
  masked.headDim = 128;
  CHECK(chooseTileConfig(masked, gpuTarget("sm_90")).tile == Tiles{{"q", 64}, {"kv", 32}});
  // A score needs registers of its own for each number at hand, a mask of more than an order too.
  auto scored = [](int64_t headDim, std::vector<std::string> mask) {
    Spec spec = {.headDim = headDim,
                 .dtype = ElementType::BF16,
                 .mask = std::move(mask),
                 .score = {"softcap"}};
    spec.kernel = "attention_forward";
    return chooseTileConfig(spec, gpuTarget("sm_90")).tile;
  };
  CHECK(scored(64, {}) == Tiles{{"q", 128}, {"kv", 64}});
  CHECK(scored(64, {"causal", "window"}) == Tiles{{"q", 64}, {"kv", 64}});
  CHECK(scored(128, {"causal"}) == Tiles{{"q", 128}, {"kv", 64}});
  CHECK(scored(128, {"causal", "window"}) == Tiles{{"q", 64}, {"kv", 64}});
  CHECK(scored(256, {"causal"}) == Tiles{{"q", 128}, {"kv", 64}});
  CHECK(scored(256, {"window"}) == Tiles{{"q", 64}, {"kv", 32}});
  Spec windowed = {.dtype = ElementType::BF16, .mask = {"window"}, .score = {"softcap"}};
  windowed.kernel = "attention_backward_dq";
  CHECK(chooseTileConfig(windowed, gpuTarget("sm_90")).tile == Tiles{{"q", 64}, {"kv", 64}});
  // Two stages of keys and values beside the queries.
  for (const char *chip : {"sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120"})
    for (int64_t d = 8; d <= 256; d += 8) {
      Tiles each = tiles(d, ElementType::F32, chip);
      int64_t whole = (d + 15) / 16 * 64, row = whole % 128 == 0 ? whole : (whole / 16 | 1) * 16;
      CHECK((each["q"] + 4 * each["kv"]) * row <= gpuTarget(chip).sharedBytes);
    }
  // A value head dim of its own counts.
  Spec wide = {.headDim = 64, .valueHeadDim = 256, .dtype = ElementType::BF16};
  wide.kernel = "attention_forward";
  CHECK(chooseTileConfig(wide, gpuTarget("sm_90")).tile == Tiles{{"q", 128}, {"kv", 64}});
  CHECK(chooseTileConfig(wide, gpuTarget("sm_90")).warps == 8);
  CHECK(tiles(64, ElementType::BF16, "sm_80", "row_softmax") == Tiles{{"m", 64}, {"n", 64}});
}

TEST_CASE("the register block fits the registers") {
  for (int64_t registers : {8, 16, 32, 64}) {
    TileConfig config = chooseTileConfig({}, {.vectorRegisters = registers});
    CHECK(config.microRows * config.microVectors + config.microVectors + 1 <= registers);
    CHECK(config.microRows * config.microVectors * 3 >= registers);
  }
}

TEST_CASE("the fused backward keeps 128 keys where registers and shared memory hold them") {
  Spec spec = {.kernel = "attention_backward", .dtype = ElementType::BF16};
  auto chosen = [&](int64_t headDim, const char *chip) {
    spec.headDim = headDim;
    return chooseTileConfig(spec, gpuTarget(chip));
  };
  CHECK(chosen(64, "sm_86") == TileConfig{.tile = {{"q", 32}, {"kv", 128}}});
  for (const char *chip : {"sm_80", "sm_90"})
    CHECK(chosen(128, chip) ==
          TileConfig{.tile = {{"q", 64}, {"kv", 128}}, .warps = 8, .nWarps = 2});
  CHECK(chosen(128, "sm_86") == TileConfig{.tile = {{"q", 32}, {"kv", 64}}});
  for (int64_t wide : {192, 256})
    CHECK(chosen(wide, "sm_90") ==
          TileConfig{.tile = {{"q", 64}, {"kv", 64}}, .warps = 8, .nWarps = 2});
  CHECK(chosen(80, "sm_90") == TileConfig{.tile = {{"q", 64}, {"kv", 64}}, .warps = 8});
  spec.mask = {"window"}; // keeps k twice
  CHECK(chosen(128, "sm_80") ==
        TileConfig{.tile = {{"q", 32}, {"kv", 128}}, .warps = 8, .nWarps = 2});
}

TEST_CASE("a backward in f32 keeps 64 keys, and fewer sums under a mask") {
  Spec spec;
  auto chosen = [&](const char *kernel, int64_t headDim, const char *chip) {
    spec.kernel = kernel;
    spec.headDim = headDim;
    return chooseTileConfig(spec, gpuTarget(chip));
  };
  TileConfig half = {.tile = {{"q", 32}, {"kv", 64}}}, halfOfTwo = half;
  halfOfTwo.warps = 8;
  halfOfTwo.nWarps = 2;
  for (const char *kernel : {"attention_backward", "attention_backward_dkdv"}) {
    spec.mask = {"causal"};
    CHECK(chosen(kernel, 64, "sm_90") == half);
    spec.mask = {"causal", "window"};
    CHECK(chosen(kernel, 64, "sm_90") == half);
    CHECK(chosen(kernel, 128, "sm_90") == halfOfTwo);
  }
  spec.mask = {"causal"};
  CHECK(chosen("attention_backward_dkdv", 128, "sm_80") == half);
  CHECK(chosen("attention_backward", 128, "sm_80") == halfOfTwo);
  CHECK(chosen("attention_backward", 256, "sm_90") == halfOfTwo);
  CHECK(chosen("attention_backward", 256, "sm_86") ==
        TileConfig{.tile = {{"q", 16}, {"kv", 16}}, .warps = 2, .nWarps = 2});
  spec.mask = {"window"};
  spec.score = {"softcap"};
  CHECK(chosen("attention_backward_dq", 64, "sm_90") ==
        TileConfig{.tile = {{"q", 64}, {"kv", 64}}});
  CHECK(chosen("attention_backward_dq", 128, "sm_90") ==
        TileConfig{.tile = {{"q", 64}, {"kv", 64}}, .warps = 8, .nWarps = 2});
}

TEST_CASE("sizes by hand: of every kernel, of one, and the warps that share them") {
  Spec spec = {.kernel = "attention_backward_dq",
               .headDim = 128,
               .dtype = ElementType::BF16,
               .tile = {{"attention_backward_dq.kv", 32},
                        {"attention_backward.q", 16},
                        {"kv", 64},
                        {"warps", 8},
                        {"n_warps", 4}}};
  TileConfig config = chooseTileConfig(spec, gpuTarget("sm_90"));
  CHECK(config == TileConfig{.tile = {{"q", 128}, {"kv", 32}}, .warps = 8, .nWarps = 4});
  spec.tile["n_warps"] = 3;
  CHECK_THROWS_WITH_AS(chooseTileConfig(spec, gpuTarget("sm_90")),
                       "tile.n_warps: got 3, allowed: a divisor of warps, 8", InputError);
  spec.tile["warps"] = 33;
  CHECK_THROWS_WITH_AS(chooseTileConfig(spec, gpuTarget("sm_90")),
                       "tile.warps: got 33, allowed: an integer from 1 to 32", InputError);
}

TEST_CASE("JSON keeps a config") {
  TileConfig config = {
      .tile = {{"q", 32}}, .microRows = 6, .microVectors = 3, .warps = 8, .nWarps = 2};
  CHECK(tileConfigFromJson(toJson(config)) == config);
  CHECK_THROWS_WITH_AS(tileConfigFromJson({{"micro_rows", 0}}),
                       "micro_rows: got 0, allowed: an integer from 1 to 64", InputError);
}

TEST_CASE("a dimension is a constant of the kernel") { CHECK(tileConstant("kv") == "BKV"); }
