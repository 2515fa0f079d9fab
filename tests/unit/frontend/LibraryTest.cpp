#include "kernels.tiles/Library.h"
#include "ringc/compiler/frontend/Parser.h"
#include "ringc/compiler/frontend/Printer.h"
#include "ringc/compiler/frontend/Program.h"

#include <doctest/doctest.h>

#include <fstream>
#include <sstream>

using namespace ringc;
using namespace ringc::frontend;

namespace {

std::vector<SourceFile> librarySources() {
  std::vector<SourceFile> sources;
  for (const EmbeddedSource &source : kernelLibrary())
    sources.push_back({std::string(source.name), std::string(source.text)});
  return sources;
}

Program withUser(const std::string &text) {
  SourceFile user{"user.tile", text};
  return Program::parse({&user, 1}, librarySources());
}

} // namespace

TEST_CASE("the library is without errors") {
  Program program = Program::parse({}, librarySources());
  CHECK(render(program.diagnostics()) == "");
  for (const char *name : {"attention_forward",
                           "attention_backward_dkdv",
                           "attention_backward_dq",
                           "attention_backward",
                           "attention_backward_round",
                           "attention_delta",
                           "attention_merge",
                           "matmul",
                           "matmul_bt",
                           "matmul_at",
                           "row_softmax",
                           "column_sums_of_parts",
                           "column_sums",
                           "rms_norm",
                           "rms_norm_backward",
                           "rms_norm_backward_gamma",
                           "gelu",
                           "gelu_backward",
                           "rotary_half_split",
                           "rotary_half_split_at",
                           "rotary_interleaved",
                           "cross_entropy",
                           "cross_entropy_backward",
                           "adamw",
                           "adamw_master",
                           "bias_gelu",
                           "bias_gelu_backward",
                           "embedding",
                           "sums_of_rows",
                           "add",
                           "add_bias",
                           "multiply_by"})
    CHECK(program.findKernel(name));
  for (const char *name : {"all", "causal", "prefix", "window", "documents", "key_padding",
                           "identity", "softcap", "wide_softcap", "alibi", "bias"})
    CHECK(program.findFunction(name));
}

TEST_CASE("printing the library and parsing it again gives the same tree") {
  for (const SourceFile &source : librarySources()) {
    CAPTURE(source.name);
    ParseResult first = parse(source);
    REQUIRE(render(first.diagnostics) == "");
    std::string printed = print(first.module);
    ParseResult second = parse({source.name, printed});
    REQUIRE(render(second.diagnostics) == "");
    CHECK(print(second.module) == printed);
    CHECK(second.module.functions.size() == first.module.functions.size());
    CHECK(second.module.kernels.size() == first.module.kernels.size());
  }
}

TEST_CASE("a user's mask and score, as the design writes them") {
  Program program = withUser(R"(
      mask dilated(b: index, h: index, i: index, j: index, step: i32, reach: view<i32>[H]) {
        return (i - j) % step == 0 and i - j < reach[h]
      }
      score bent(s: f32, b: index, h: index, i: index, j: index, c: f32) {
        let t = c * tanh(s / c)
        return i - j > 64 ? t - 0.5 : t
      }
)");
  CHECK(render(program.diagnostics()) == "");
  CHECK(program.findFunction("dilated")->kind == FunctionDecl::Kind::Mask);
  CHECK(program.findDerivative(*program.findFunction("bent")) == nullptr);
}

TEST_CASE("a user's file comes before the library and may use it") {
  Program program = withUser(R"(
mask causal(b: index, h: index, i: index, j: index) { return j < i }
mask both(b: index, h: index, i: index, j: index) {
  return causal(b, h, i, j) and window(b, h, i, j, 4, -1)
}
score half(s: f32, b: index, h: index, i: index, j: index) { return s * 0.5 }
derivative half(s: f32, b: index, h: index, i: index, j: index) { return 0.5 }
)");
  CHECK(render(program.diagnostics()) == "");
  const FunctionDecl *causal = program.findFunction("causal");
  CHECK(causal->source->name == "user.tile");
  const FunctionDecl *half = program.findFunction("half");
  CHECK(program.findDerivative(*half)->result == Type::scalar(f32Element));
  CHECK(program.findDerivative(*program.findFunction("softcap")) == nullptr);
}

TEST_CASE("the examples of LANGUAGE.md are without errors") {
  std::ifstream file(RINGC_LANGUAGE_MD);
  REQUIRE(file);
  std::string line, example;
  int examples = 0;
  bool inside = false;
  while (std::getline(file, line)) {
    if (inside && line.starts_with("```")) {
      inside = false;
      ++examples;
      CAPTURE(example);
      CHECK(render(withUser(example).diagnostics()) == "");
    } else if (line == "```tile") {
      inside = true;
      example.clear();
    } else if (inside) {
      example += line + "\n";
    }
  }
  CHECK(examples >= 3);
}
