// What is too large to compile in seconds is refused; what is not takes time for its size.

#include "ringc/compiler/Compiler.h"

#include <doctest/doctest.h>

#include <charconv>
#include <string>
#include <utility>
#include <vector>

using namespace ringc;

namespace {

/// A score of `lets` with a hyperbolic tangent each.
std::string longScore(int64_t lets) {
  std::string text =
      "// the first line\nscore long(s: f32, b: index, h: index, i: index, j: index) "
      "{\n  let v0 = s\n";
  for (int64_t let = 0; let < lets; ++let)
    text += "  let v" + std::to_string(let + 1) + " = tanh(v" + std::to_string(let) + " * 0.9)\n";
  return text + "  return v" + std::to_string(lets) + "\n}\n";
}

CompileOutput compileWith(const std::string &text, Spec spec) {
  SourceSet sources = makeSources({{"user.tile", text}});
  return compile(makeRequest(spec, sources, targetCalled(spec.target)));
}

/// The number behind `words`.
int64_t numberBehind(const std::string &text, const std::string &words) {
  size_t at = text.find(words);
  REQUIRE_MESSAGE(at != text.npos, text);
  int64_t number = 0;
  std::from_chars(text.data() + at + words.size(), text.data() + text.size(), number);
  return number;
}

} // namespace

TEST_CASE("a score beyond the limit is refused at its place, one just below compiles") {
  for (const char *target : {"cpu", "sm_90"})
    for (const char *kernel :
         {"attention_forward", "attention_backward", "attention_backward_dq"}) {
      CAPTURE(target);
      CAPTURE(kernel);
      Spec spec = {.kernel = kernel, .score = {"user.tile:long"}, .target = target};
      auto operations = [&](int64_t lets) {
        std::string message = compileWith(longScore(lets), spec).diagnostics;
        CHECK_MESSAGE(message.starts_with("user.tile:2:7: error: kernel '" + std::string(kernel) +
                                          "' is too large for " + target + ": "),
                      message);
        CHECK_MESSAGE(message.find("are of score 'long'") != message.npos, message);
        return std::pair(numberBehind(message, "' is too large for " + std::string(target) + ": "),
                         numberBehind(message, " operations, allowed: "));
      };
      auto [some, limit] = operations(900);
      int64_t step = operations(901).first - some;
      REQUIRE(step > 0);
      int64_t most = 900 - (some - limit + step - 1) / step;
      CHECK(most >= 8);
      CHECK(compileWith(longScore(most), spec).kernel);
      CHECK(!compileWith(longScore(most + 1), spec).kernel);
      CHECK(operations(most + 1).first == some - (900 - most - 1) * step);
    }
}

TEST_CASE("smaller tiles let a larger score through on a GPU") {
  Spec spec = {.score = {"user.tile:long"}, .tile = {{"q", 64}, {"kv", 64}}, .target = "sm_90"};
  std::string message = compileWith(longScore(40), spec).diagnostics;
  CHECK_MESSAGE(message.find("smaller tiles (kv=64,q=64 now) have fewer") != message.npos, message);
  spec.tile = {{"q", 64}, {"kv", 16}};
  CHECK(compileWith(longScore(40), spec).kernel);
}

TEST_CASE("a kernel of huge tiles is refused where its elements stand in the code one by one") {
  std::string text = "kernel doubled<BM = 64, BN = 64>(x: view<f32>[M, N])\n"
                     "  over r in M step BM, c in N step BN {\n"
                     "  x[r : BM, c : BN] = x[r : BM, c : BN] * 2\n}\n";
  Spec spec = {.kernel = "doubled",
               .source = "user.tile",
               .constants = {{"BM", 1024}, {"BN", 1024}},
               .target = "sm_90"};
  std::string message = compileWith(text, spec).diagnostics;
  CHECK_MESSAGE(
      message.starts_with("user.tile:1:8: error: kernel 'doubled' is too large for sm_90"),
      message);
  spec.constants = {{"BM", 64}, {"BN", 64}};
  CHECK(compileWith(text, spec).kernel);
  spec.constants = {{"BM", 1024}, {"BN", 1024}};
  spec.target = "cpu";
  CHECK(compileWith(text, spec).kernel);
}

// Each let reads the one before twice: what looks again at what it has seen never ends.

namespace {

std::string doubling(const std::string &first, const std::string &next, int lets) {
  std::string text = "  let v0 = " + first + "\n";
  for (int let = 1; let <= lets; ++let) {
    std::string line = next;
    for (size_t at; (at = line.find('@')) != line.npos;)
      line.replace(at, 1, "v" + std::to_string(let - 1));
    text += "  let v" + std::to_string(let) + " = " + line + "\n";
  }
  return text;
}

constexpr const char *ofPositions = "(b: index, h: index, i: index, j: index";

} // namespace

TEST_CASE("scores that read every let twice") {
  std::string text = "score twice(s: f32, b: index, h: index, i: index, j: index) {\n" +
                     doubling("s", "@ * 0.25 + @ * @", 60) + "  return v60\n}\n";
  for (const char *target : {"cpu", "sm_90"})
    for (const char *kernel :
         {"attention_forward", "attention_backward_dkdv", "attention_backward"})
      for (std::vector<std::string> mask : {std::vector<std::string>{}, {"causal"}}) {
        CompileOutput made = compileWith(text, {.kernel = kernel,
                                                .mask = mask,
                                                .score = {"user.tile:twice"},
                                                .tile = {{"q", 32}, {"kv", 16}},
                                                .target = target});
        CHECK_MESSAGE(made.kernel, made.diagnostics);
      }
}

TEST_CASE("masks that read every condition twice") {
  for (std::string join :
       {"(@ and i - j < 1000) and (j >= 0 and @)", "(@ or i - j < 9) or (j > 7 or @)",
        "(@ and j % 3 != 1) or (@ and i > 5)"}) {
    std::string text = "mask twice" + std::string(ofPositions) + ") {\n" +
                       doubling("j <= i", join, 40) + "  return v40\n}\n";
    for (const char *target : {"cpu", "sm_90"}) {
      CompileOutput made = compileWith(
          text, {.mask = {"user.tile:twice"}, .tile = {{"q", 32}, {"kv", 16}}, .target = target});
      CHECK_MESSAGE(made.kernel, made.diagnostics);
    }
  }
}

TEST_CASE("kernels whose tiles and offsets read what is before them twice") {
  std::string head =
      "kernel twice<BM = 16, BN = 16>(x: view<f32>[M, N], z: view<f32>[M, N], total: "
      "sums[M, BN])\n  over r in M step BM {\n";
  std::string tiles = head + doubling("x[r : BM, 0 : BN]", "@ * 0.5 + @ * @", 60) +
                      "  z[r : BM, 0 : BN] = v60 + rowmax(v60)\n  total[r : BM, :] += v60\n}\n";
  std::string offsets = head + doubling("r", "@ + @", 40) +
                        "  z[v40 : BM, 0 : BN] = x[v40 : BM, 0 : BN]\n"
                        "  total[v40 : BM, :] += x[v40 : BM, 0 : BN]\n}\n";
  for (const std::string &text : {tiles, offsets})
    for (const char *target : {"cpu", "sm_90"}) {
      CompileOutput made =
          compileWith(text, {.kernel = "twice", .source = "user.tile", .target = target});
      CHECK_MESSAGE(made.kernel, made.diagnostics);
    }
}
