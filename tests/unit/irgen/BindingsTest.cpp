#include "ringc/compiler/irgen/Bindings.h"
#include "ringc/support/Error.h"
#include "tests/unit/irgen/LibrarySources.h"

#include <doctest/doctest.h>

using namespace ringc;

namespace {

std::string refusal(const Spec &spec, const std::string &user = "") {
  frontend::Program program = programOf(user);
  REQUIRE(frontend::render(program.diagnostics()) == "");
  try {
    bind(findKernel(program, spec), program, spec, {});
  } catch (const InputError &error) {
    return error.what();
  }
  return "accepted";
}

} // namespace

TEST_CASE("constants come from the spec's fields, the tile sizes, or their defaults") {
  frontend::Program program = programOf("");
  Spec spec{.headDim = 40,
            .valueHeadDim = 24,
            .groupSize = 4,
            .headMap = HeadMap::Tiled,
            .dtype = ElementType::BF16,
            .f32Products = F32Products::Tf32,
            .queryLayout = LayoutKind::Striped,
            .keyLayout = LayoutKind::Zigzag,
            .mask = {"causal", "window"}};
  Bindings bound = bind(findKernel(program, spec), program, spec, {.tile = {{"q", 32}}});
  CHECK(bound.integers ==
        std::map<std::string, int64_t>{{"D", 40}, {"Dv", 24}, {"BQ", 32}, {"BKV", 128}});
  CHECK(bound.types == std::map<std::string, ElementType>{{"T", ElementType::BF16}});
  CHECK(bound.functions.at("mask").size() == 2);
  CHECK(bound.functions.at("mask")[1]->name == "window");
  CHECK(bound.functions.at("score")[0]->name == "identity");
  CHECK(bound.groupSize == 4);
  CHECK(bound.headMap == HeadMap::Tiled);
  CHECK(bound.f32Products == F32Products::Tf32);
  CHECK(bound.queryLayout == LayoutKind::Striped);
  CHECK(bound.keyLayout == LayoutKind::Zigzag);

  Spec matmul{.kernel = "matmul", .constants = {{"BM", 8}}, .types = {{"T", ElementType::F16}}};
  Bindings product =
      bind(findKernel(program, matmul), program, matmul, {.tile = {{"m", 16}, {"n", 16}}});
  CHECK(product.integers == std::map<std::string, int64_t>{{"BM", 8}, {"BN", 16}, {"BK", 64}});
  CHECK(product.types.at("T") == ElementType::F16);
}

TEST_CASE("what cannot be bound is refused by name") {
  CHECK(refusal({.kernel = "atention"})
            .starts_with("kernel: got atention, allowed: attention_forward, "));
  CHECK(refusal({.kernel = "matmul", .constants = {{"BX", 8}}}) ==
        "constants of kernel matmul: got BX, allowed: BM, BN, BK");
  CHECK(refusal({.kernel = "matmul", .types = {{"BM", ElementType::F32}}}) ==
        "types of kernel matmul: got BM, allowed: T, R");
  CHECK(refusal({.kernel = "matmul", .constants = {{"BM", 0}}}) ==
        "constant BM of kernel matmul: got 0, allowed: 1 to 1048576, in the field constants");
  CHECK(refusal({.kernel = "matmul", .types = {{"T", ElementType::I32}}}) ==
        "constant T of kernel matmul: got i32, allowed: f32, f16, bf16, in the field types");
  CHECK(refusal({.mask = {"casual"}}) == "mask: got casual, allowed: all, causal, prefix, window, "
                                         "documents, key_padding, within_length");
  CHECK(refusal({.score = {"causal"}}) ==
        "score: got causal, allowed: identity, softcap, wide_softcap, alibi, bias");
  CHECK(refusal({.mask = {"window", "causal", "window"}}) ==
        "mask: got window, allowed: each name once");
  CHECK(refusal({.mask = {"other.tile:causal"}})
            .starts_with("mask: got other.tile:causal, allowed: "));
  CHECK(refusal({.kernel = "k"}, "kernel k<N>(x: view<f32>[N]) over r in N step 4 { }") ==
        "constant N of kernel k: got nothing, allowed: 1 to 1048576, in the field constants");
}

TEST_CASE("of two functions of one name the user's is called FILE:NAME") {
  const char *user = "score window(s: f32, b: index, h: index, i: index, j: index, left: f32) {\n"
                     "  return s * left\n}\n"
                     "mask causal(b: index, h: index, i: index, j: index) { return j < i }\n";
  CHECK(refusal({.source = "user.tile", .mask = {"causal"}, .score = {"window"}}, user) ==
        "accepted");
  frontend::Program program = programOf(user);
  auto namesOf = [&](const Spec &spec) {
    Bindings bound = bind(findKernel(program, spec), program, spec, {});
    std::vector<std::string> names;
    for (const char *constant : {"mask", "score"})
      for (const frontend::FunctionDecl *function : bound.functions.at(constant))
        names.push_back(bound.nameOf(*function));
    return names;
  };
  using Names = std::vector<std::string>;
  CHECK(namesOf({.mask = {"window"}, .score = {"user.tile:window"}}) ==
        Names{"window", "user.tile:window"});
  CHECK(namesOf({.mask = {"causal", "user.tile:causal"}, .score = {"softcap"}}) ==
        Names{"causal", "user.tile:causal", "softcap"});
  CHECK(namesOf({.mask = {"user.tile:causal"}, .score = {"user.tile:window"}}) ==
        Names{"causal", "window"});
}

TEST_CASE("what a file lacks is not offered from the library") {
  const char *user = "mask near(b: index, h: index, i: index, j: index) { return i - j < 3 }\n"
                     "mask odd(b: index, h: index, i: index, j: index) { return j % 2 == 1 }\n";
  CHECK(refusal({.mask = {"user.tile:neer"}}, user) ==
        "mask: got user.tile:neer, allowed: user.tile:near, user.tile:odd; did you mean "
        "user.tile:near?");
  CHECK(refusal({.score = {"user.tile:near"}}, user) ==
        "score: got user.tile:near, allowed: a score of that file, which has none");
}

TEST_CASE("a tile beyond a million elements is refused where it stands") {
  CHECK(
      refusal({.kernel = "matmul", .constants = {{"BM", 4096}, {"BN", 4096}}}) ==
      "tile<f32>[BM, BN] at matmul.tile:6:13: got 4096 x 4096 elements, allowed: at most 1048576");
}

TEST_CASE("a name is looked up in the spec's source and in the library, FILE:NAME in that file") {
  const char *user = "mask causal(b: index, h: index, i: index, j: index) { return j < i }\n"
                     "kernel k<m: predicate = causal>(x: view<f32>[M]) over r in M step 4 { }\n";
  frontend::Program program = programOf(user);
  auto fileOf = [&](const Spec &spec, const char *constant) {
    Bindings bound = bind(findKernel(program, spec), program, spec, {});
    return bound.functions.at(constant)[0]->source->name;
  };
  CHECK(fileOf({.source = "user.tile", .mask = {"causal"}}, "mask") == "user.tile");
  CHECK(fileOf({.mask = {"user.tile:causal"}}, "mask") == "user.tile");
  CHECK(fileOf({.mask = {"causal"}}, "mask") == "masks.tile");
  CHECK(fileOf({.source = "user.tile", .mask = {"window"}}, "mask") == "masks.tile");
  CHECK(fileOf({.kernel = "k"}, "m") == "user.tile"); // a default is looked up where it is written
}
