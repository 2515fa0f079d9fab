// Layouts, positions, rotary embedding, plans, modules and the compiler.

#include "tests/c/Problem.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>

using namespace ringc::test;

namespace {

using Text = std::unique_ptr<char, Destroyed<ringc_free>>;

} // namespace

TEST_CASE("a sequence is dealt") {
  int64_t rows = 0, padded = 0;
  CHECK(ringc_local_length("striped:2", 1, 2, 7, &rows) == RINGC_OK);
  CHECK(rows == 3);
  CHECK(ringc_padded_length("zigzag", 2, 7, &padded) == RINGC_OK);
  CHECK(padded == 8);
  Integers positions({3});
  CHECK(ringc_positions("striped:2", 1, 2, 7, &positions.view) == RINGC_OK);
  CHECK(positions.numbers == std::vector<int32_t>{2, 3, 6});
  Owned<int64_t> wide({RINGC_INT, 64, 1}, {3});
  CHECK(ringc_query_positions("striped:2", 1, 2, 7, 17, &wide.view) == RINGC_OK);
  CHECK(wide.numbers == std::vector<int64_t>{12, 13, 16});
  ringc_row_positions formula{};
  CHECK(ringc_row_positions_of("striped:2", 1, 2, 7, 7, &formula) == RINGC_OK);
  CHECK((formula.first == 2 && formula.block == 2 && formula.jump == 4));

  positions.axes[0] = 2;
  CHECK(ringc_positions("striped:2", 1, 2, 7, &positions.view) == RINGC_ERROR_INPUT);
  CHECK(lastError() == "positions: got i32[2], allowed: i32 or i64 [3]");
  CHECK(ringc_local_length("stripes", 0, 2, 7, &rows) == RINGC_ERROR_INPUT);
  CHECK(lastError().find("layout: got stripes") != std::string::npos);
  CHECK(ringc_local_length(nullptr, 2, 2, 7, &rows) == RINGC_ERROR_INPUT);
}

TEST_CASE("rotary embedding turns, and back") {
  Floats from({1, 5, 2, 16}), to({1, 5, 2, 16}), back({1, 5, 2, 16});
  from.fill(1);
  ringc_row_positions at{.first = 3, .block = 1, .jump = 2};
  const char *options = R"({"style": "interleaved", "base": 500})";
  REQUIRE(ringc_rope(&from.view, &to.view, &at, options) == RINGC_OK);
  CHECK(from.numbers != to.numbers);
  REQUIRE(ringc_rope_inverse(&to.view, &back.view, &at, options) == RINGC_OK);
  for (size_t i = 0; i < from.numbers.size(); ++i)
    CHECK(back.numbers[i] == doctest::Approx(from.numbers[i]).epsilon(1e-5));
  CHECK(ringc_rope(&from.view, &to.view, &at, R"({"style": "twisted"})") == RINGC_ERROR_INPUT);
  CHECK(lastError().find("style: got twisted, allowed: half_split, interleaved") !=
        std::string::npos);
}

TEST_CASE("a plan, of lengths alone and of an attention") {
  ContextHandle context = hostContextHandle();
  ringc_attention_inputs inputs{};
  inputs.size = sizeof inputs;
  inputs.batch = 1;
  inputs.query_length = inputs.key_length = 64;
  char *json = nullptr;
  REQUIRE(ringc_plan(context.get(), problemOptions, 4, RINGC_BACKWARD, &inputs, &json) == RINGC_OK);
  Text plan(json);
  CHECK(std::string(json).find(R"("world": 4)") != std::string::npos);
  CHECK(std::string(json).find(R"("pass": "backward")") != std::string::npos);
  Problem problem(64);
  problem.q.view.data = problem.k.view.data = problem.v.view.data = nullptr;
  AttentionHandle attention = attentionHandle(context);
  char *own = nullptr;
  REQUIRE(ringc_attention_plan(attention.get(), RINGC_FORWARD, &problem.inputs, &own) == RINGC_OK);
  Text ownPlan(own);
  CHECK(std::string(own).find(R"("world": 1)") != std::string::npos);
  int64_t bytes = -1;
  CHECK(ringc_attention_prepare(attention.get(), RINGC_BACKWARD, &problem.inputs) == RINGC_OK);
  CHECK(ringc_attention_workspace_bytes(attention.get(), RINGC_BACKWARD, &problem.inputs, &bytes) ==
        RINGC_OK);
  CHECK(bytes == 0);
}

TEST_CASE("a stage of the compiler") {
  ringc_source source{"own.tile",
                      "mask own(b: index, h: index, i: index, j: index) { return j <= i }\n"};
  const char *spec = R"({"mask": ["own.tile:own"]})";
  char *text = nullptr, *provenance = nullptr;
  size_t bytes = 0;
  REQUIRE(ringc_compile(spec, &source, 1, nullptr, "sm_80", &text, &bytes, &provenance) ==
          RINGC_OK);
  Text ptx(text), of(provenance);
  CHECK(std::string(text).find(".target sm_80") != std::string::npos);
  CHECK(std::strlen(text) == bytes);
  CHECK(std::string(provenance).find("own.tile:own") != std::string::npos);
  char *tile = nullptr;
  REQUIRE(ringc_compile(spec, &source, 1, "tile", "cpu", &tile, nullptr, nullptr) == RINGC_OK);
  Text stage(tile);
  CHECK(std::string(tile).find("tile.masked_for") != std::string::npos);
  source.text = "mask own(b: index, h: index, i: index, j: index) { return j <= jj }\n";
  CHECK(ringc_compile(spec, &source, 1, nullptr, "cpu", &text, &bytes, nullptr) ==
        RINGC_ERROR_COMPILE);
  CHECK(lastError().find("own.tile:1:") == 0);
  CHECK(ringc_compile(spec, &source, 1, "stag", "cpu", &text, &bytes, nullptr) ==
        RINGC_ERROR_INPUT);
  CHECK(ringc_compile("{}", nullptr, 0, nullptr, "sm_1", &text, &bytes, nullptr) ==
        RINGC_ERROR_INPUT);
  char *names = nullptr;
  REQUIRE(ringc_stage_names("sm_90", &names) == RINGC_OK);
  Text list(names);
  CHECK(std::string(names).find(R"("nvvm","llvm","ir","code")") != std::string::npos);
}

TEST_CASE("modules") {
  CHECK(ringc_module_check("ring_attention", R"({"dim": 64, "causal": true})") == RINGC_OK);
  CHECK(ringc_module_check("ring_attention", R"({"dim": 64, "striped_ring_attn": true})") ==
        RINGC_ERROR_INPUT);
  CHECK(ringc_module_check("ring_transformer", R"({"num_tokens": 256, "dim": 64})") == RINGC_OK);
  CHECK(ringc_module_check("ring", "{}") == RINGC_ERROR_INPUT);
  int ranks = 0;
  CHECK(ringc_module_ring_size(R"({"dim": 64, "ring_attn": true, "auto_shard_seq": true,
                                   "ring_seq_size": 512})",
                               8, 1024, &ranks) == RINGC_OK);
  CHECK(ranks == 2);
}

TEST_CASE("tuning finds, tells, and stops when it is told to") {
  int calls = 0;
  auto progress = [](void *user, const char *json) {
    CHECK(std::string(json).find(R"("best_ratio":)") != std::string::npos);
    return ++*static_cast<int *>(user) < 2 ? 0 : 1;
  };
  char *result = nullptr;
  REQUIRE(ringc_tune(R"({"options": {"heads": 1, "head_dim": 16}, "query_length": 64, "passes":
                         ["forward"], "threads": 1, "seconds": 20, "table": ""})",
                     progress, &calls, &result) == RINGC_OK);
  Text found(result);
  CHECK(calls == 2);
  CHECK(std::string(result).find(R"("interrupted": true)") != std::string::npos);
  CHECK(ringc_tune(R"({"seconds": 0})", nullptr, nullptr, &result) == RINGC_ERROR_INPUT);
  CHECK(lastError().find("seconds: got 0") != std::string::npos);
  CHECK(ringc_tune(R"({"passes": ["sideways"]})", nullptr, nullptr, &result) == RINGC_ERROR_INPUT);
  CHECK(lastError().find("passes[0]: got sideways, allowed: forward, backward") !=
        std::string::npos);
}
