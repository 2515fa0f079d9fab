#include "ringc/compiler/spec/ProductForm.h"
#include "ringc/compiler/spec/TileSpace.h"

#include <doctest/doctest.h>

using namespace ringc;

namespace {

constexpr ElementType bf16 = ElementType::BF16, f16 = ElementType::F16;
constexpr ProductForm widened = ProductForm::Widened, pairs = ProductForm::Pairs,
                      tiles = ProductForm::Tiles;
constexpr ProductShape large{64, 64, 64};

Target avx512() { return {.vectorBytes = 64, .vectorRegisters = 32}; }

Target zen4() {
  Target target = avx512();
  target.hasBf16Dot = true;
  return target;
}

/// Without AMX: a hypervisor hides it.
Target emeraldRapids() {
  Target target = zen4();
  target.pairSpeed = 50;
  return target;
}

Target withTiles() {
  Target target = emeraldRapids();
  target.hasBf16Tiles = true;
  return target;
}

} // namespace

TEST_CASE("the fastest form that a host has") {
  CHECK(formOf(avx512(), bf16, large) == widened);
  CHECK(formOf(zen4(), bf16, large) == pairs);
  CHECK(formOf(emeraldRapids(), bf16, large) == widened);
  CHECK(formOf(withTiles(), bf16, large) == tiles);
  for (const Target &target : {avx512(), zen4(), emeraldRapids(), withTiles()}) {
    CHECK(formOf(target, f16, large) == widened);
    CHECK(formOf(target, ElementType::F32, large) == widened);
    CHECK(formOf(target, ElementType::F32, large, 32) == widened);
  }
  Target granite = withTiles();
  granite.hasF16Tiles = true;
  CHECK(formOf(granite, f16, large) == tiles);
}

TEST_CASE("a product in tiles has rows and lanes for them, and zeros behind its last term") {
  auto formOfShape = [](const ProductShape &shape) { return formOf(withTiles(), bf16, shape); };
  CHECK(formOfShape({16, 32, 32}) == tiles);
  CHECK(formOfShape({17, 40, 64}) == tiles);
  CHECK(formOfShape({4, 64, 128}) == widened);  // a decode
  CHECK(formOfShape({16, 16, 128}) == widened); // whose window may be read where it lies
  CHECK(formOfShape({64, 64, 40}) == widened);  // made by a nest
  CHECK(formOfShape({64, 64, 40, true}) == tiles);
  CHECK(formOfShape({64, 64, 1, true}) == widened); // mostly zeros
}

TEST_CASE("a depth by hand is the most that a form may have") {
  CHECK(formOf(withTiles(), bf16, large, 1) == widened);
  CHECK(formOf(withTiles(), bf16, large, 2) == pairs);
  CHECK(formOf(withTiles(), bf16, large, 32) == tiles);
  CHECK(formOf(avx512(), bf16, large, 2) == widened);
  CHECK(formOf(avx512(), f16, large, 2) == widened);
  // By loops, for whoever has no AMX and wants to check them.
  CHECK(formOf(avx512(), bf16, large, 32) == tiles);
  CHECK(formOf(zen4(), f16, large, 32) == tiles);
  CHECK(formOf(zen4(), bf16, {4, 64, 64}, 32) == pairs);
  Spec spec = {.dtype = bf16, .tile = {{"micro_depth", 16}}};
  CHECK_THROWS_WITH_AS(
      chooseTileConfig(spec, zen4()),
      "tile.micro_depth: got 16, allowed: 1 (widened to f32), 2 (pairs), 32 (tiles)", InputError);
}

TEST_CASE("forms are described, and a tuner tries those that a host has") {
  CHECK(describeForms(avx512(), bf16) == "widened");
  CHECK(describeForms(zen4(), bf16) == "pairs (2 x f32); slower: widened");
  CHECK(describeForms(emeraldRapids(), bf16) == "widened; slower: pairs (0.5 x f32)");
  CHECK(describeForms(withTiles(), bf16) == "tiles (16 x f32); slower: widened, pairs (0.5 x f32)");
  auto depthsOf = [](ElementType dtype, const Target &target) {
    Spec spec = {.kernel = "attention_forward", .dtype = dtype};
    TileSpace space(spec, target);
    for (const TileDimension &axis : space.dimensions())
      if (axis.name == "micro_depth")
        return axis.values;
    return std::vector<int64_t>();
  };
  CHECK(depthsOf(bf16, avx512()).empty());
  CHECK(depthsOf(f16, withTiles()).empty());
  CHECK(depthsOf(ElementType::F32, withTiles()).empty());
  CHECK(depthsOf(bf16, zen4()) == std::vector<int64_t>{1, 2});
  CHECK(depthsOf(bf16, withTiles()) == std::vector<int64_t>{1, 2, 32});
}

TEST_CASE("the model's own choice comes first, with its form") {
  Spec spec = {.kernel = "attention_forward", .dtype = bf16};
  auto first = [&](const Target &target) {
    return TileSpace(spec, target).candidates().front().microDepth;
  };
  CHECK(first(zen4()) == 2);
  CHECK(first(emeraldRapids()) == 1);
  CHECK(first(withTiles()) == 32);
}
