// What is refused, with which words; nothing is written then.

#include "tests/c/Problem.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <limits>

using namespace ringc::test;

namespace {

struct Refused {
  const char *what;
  std::function<void(Problem &)> spoil;
  std::string message; ///< a part of it
};

const std::vector<Refused> refusals = {
    {"no inputs' size", [](Problem &p) { p.inputs.size = 0; }, "size of inputs: got 0"},
    {"no q", [](Problem &p) { p.inputs.q = nullptr; }, "q: got NULL, allowed: an address"},
    {"no out", [](Problem &p) { p.results.out = nullptr; }, "out: got NULL"},
    {"q's data", [](Problem &p) { p.q.view.data = nullptr; }, "data of q: got NULL"},
    {"q's shape", [](Problem &p) { p.q.view.shape = nullptr; }, "shape of q: got NULL"},
    {"k on a device", [](Problem &p) { p.k.view.device = {RINGC_CUDA, 1}; },
     "device of k: got CUDA device 1, allowed: the CPU"},
    {"k on something", [](Problem &p) { p.k.view.device = {10, 0}; },
     "device of k: got DLPack's device type 10"},
    {"v of f64", [](Problem &p) { p.v.view.dtype.bits = 64; },
     "dtype of v: got code 2 of 64 bits, allowed: f32, f16, bf16, i32, i64, bool"},
    {"v of f16", [](Problem &p) { p.v.view.dtype.bits = 16; }, "v: got f16[1, 7, 2, 16]"},
    {"lanes", [](Problem &p) { p.v.view.dtype.lanes = 4; }, "lanes of v: got 4, allowed: 1"},
    {"axes", [](Problem &p) { p.q.view.ndim = 9; }, "axes of q: got 9, allowed: 0 to 8"},
    {"fewer axes than none", [](Problem &p) { p.q.view.ndim = -1; }, "axes of q: got -1"},
    {"three axes", [](Problem &p) { p.q.view.ndim = 3; }, "q: got f32[1, 7, 2]"},
    {"a negative extent", [](Problem &p) { p.q.axes[1] = -1; }, "q: "},
    {"an address between elements", [](Problem &p) { p.q.view.byte_offset = 2; }, "data of q: got"},
    {"heads", [](Problem &p) { p.k.axes[2] = 1; }, "k: got f32[1, 7, 1, 16]"},
    {"lse's shape", [](Problem &p) { p.lse.axes[2] = 6; }, "lse: got f32[1, 2, 6]"},
    {"another length",
     [](Problem &p) { p.inputs.batch = 1, p.inputs.query_length = 9, p.inputs.key_length = 7; },
     "9"},
    {"arguments", [](Problem &p) { p.inputs.argument_count = 1; }, "arguments: got NULL"},
};

} // namespace

TEST_CASE("tensors that cannot be are refused by name") {
  ContextHandle context = hostContextHandle();
  AttentionHandle attention = attentionHandle(context);
  REQUIRE(attention);
  for (const Refused &each : refusals) {
    CAPTURE(each.what);
    Problem problem(7);
    each.spoil(problem);
    CHECK(ringc_attention_forward(attention.get(), nullptr, &problem.inputs, &problem.results,
                                  nullptr, 0) == RINGC_ERROR_INPUT);
    CAPTURE(lastError());
    CHECK(lastError().find(each.message) != std::string::npos);
    CHECK(std::ranges::all_of(problem.out.numbers, [](float number) { return number == 0; }));
  }
  Problem good(7);
  CHECK(ringc_attention_forward(attention.get(), nullptr, &good.inputs, &good.results, nullptr,
                                0) == RINGC_OK);
}

TEST_CASE("elements of a result are different ones") {
  ContextHandle context = hostContextHandle();
  AttentionHandle attention = attentionHandle(context);
  constexpr int64_t dim = Problem::dim, heads = Problem::heads;
  auto statusOf = [&](std::array<int64_t, 4> strides) {
    Problem problem(7);
    problem.dq.view.strides = strides.data();
    REQUIRE(ringc_attention_forward(attention.get(), nullptr, &problem.inputs, &problem.results,
                                    nullptr, 0) == RINGC_OK);
    return ringc_attention_backward(attention.get(), nullptr, &problem.inputs, &problem.results,
                                    &problem.gradients, nullptr, 0);
  };
  CHECK(statusOf({7 * heads * dim, heads * dim, dim, 1}) == RINGC_OK);
  CHECK(statusOf({0, dim, 7 * dim, 1}) == RINGC_OK); // by heads; a batch of one has no stride
  for (auto strides : {std::array<int64_t, 4>{0, heads * dim, 0, 1},
                       {0, dim, dim, 1},
                       {0, heads * dim, dim / 2, 1}}) {
    CHECK(statusOf(strides) == RINGC_ERROR_INPUT);
    CHECK(lastError().find("dq: got f32[1, 7, 2, 16] with stride") != std::string::npos);
    CHECK(lastError().find("a place for each element") != std::string::npos);
  }
}

TEST_CASE("options that cannot be") {
  ContextHandle context = hostContextHandle();
  auto messageOf = [&](const char *options) {
    ringc_attention *made = nullptr;
    CHECK(ringc_attention_create(context.get(), nullptr, options, &made) == RINGC_ERROR_INPUT);
    CHECK(made == nullptr);
    return lastError();
  };
  CHECK(messageOf("{") == "options:1:2: error: this is not JSON");
  CHECK(messageOf("[]") == "options: JSON: got [], allowed: an object");
  CHECK(messageOf(R"({"layuot": "zigzag"})").find("did you mean layout?") != std::string::npos);
  CHECK(messageOf(R"({"heads": "two"})") == R"(options: heads: got "two", allowed: an integer)");
  CHECK(messageOf(R"({"scale": "small"})") == R"(options: scale: got "small", allowed: a number)");
  CHECK(messageOf(R"({"window": {"left": 0.5}})") ==
        "options: window.left: got 0.5, allowed: an integer");
  CHECK(messageOf(R"({"dtype": "f8"})") ==
        "options: dtype: got f8, allowed: f32, f16, bf16, i32, i64, bool");
  CHECK(messageOf(R"({"layout": "spiral"})").find("layout: got spiral, allowed: contiguous") !=
        std::string::npos);
  CHECK(
      messageOf(R"({"masks": [{"file": "m.tile", "nam": "m"}]})")
          .find("masks[0]: unknown field \"nam\", allowed: file, name, text; did you mean name?") !=
      std::string::npos);
  CHECK(messageOf(R"({"heads": 4, "kv_heads": 3})") ==
        "kv heads: got 3, allowed: a divisor of heads, 4");
  CHECK(messageOf(R"({"head_dim": 1000})") == "head dim: got 1000, allowed: 1 to 256");
  ringc_context *none = nullptr;
  CHECK(ringc_context_create(R"({"device": "tpu"})", &none) == RINGC_ERROR_INPUT);
  CHECK(lastError() == R"(device: got "tpu", allowed: cpu, cuda, cuda:N)");
}

TEST_CASE("a mask whose text is wrong says where") {
  ContextHandle context = hostContextHandle();
  AttentionHandle attention = attentionHandle(
      context, nullptr,
      R"({"heads": 2, "head_dim": 16, "masks": [{"file": "own.tile", "name": "own", "text": "mask own(b: index, h: index, i: index, j: index) { return j <= jj }\n"}]})");
  REQUIRE(attention);
  Problem problem(7);
  CHECK(ringc_attention_forward(attention.get(), nullptr, &problem.inputs, &problem.results,
                                nullptr, 0) == RINGC_ERROR_COMPILE);
  CHECK(lastError().find("own.tile:1:") != std::string::npos);
}

TEST_CASE("arguments of a mask reach it by name") {
  ContextHandle context = hostContextHandle();
  const char *options =
      R"({"heads": 2, "head_dim": 16, "masks": [{"file": "own.tile", "name": "own", "text":
          "mask own(b: index, h: index, i: index, j: index, last: i32, seen: view<bool>[Nk]) { return j <= last and seen[j] }\n"}]})";
  AttentionHandle attention = attentionHandle(context, nullptr, options);
  REQUIRE(attention);
  Problem problem(7);
  Owned<uint8_t> seen({RINGC_BOOL, 8, 1}, {7});
  seen.numbers = {1, 0, 0, 0, 0, 0, 1};
  std::array<ringc_argument, 2> arguments{};
  arguments[0] = {.name = "last", .kind = RINGC_ARGUMENT_INTEGER, .integer = 3};
  arguments[1] = {.name = "own.seen", .kind = RINGC_ARGUMENT_TENSOR, .tensor = &seen.view};
  problem.inputs.arguments = arguments.data();
  problem.inputs.argument_count = arguments.size();
  auto status = [&] {
    return ringc_attention_forward(attention.get(), nullptr, &problem.inputs, &problem.results,
                                   nullptr, 0);
  };
  REQUIRE(status() == RINGC_OK);
  for (size_t i = 0; i < problem.out.numbers.size(); ++i) // all rows see the first key alone
    CHECK(problem.out.numbers[i] ==
          doctest::Approx(problem.v.numbers[i % (Problem::heads * Problem::dim)]));
  arguments[0].name = "lastt";
  CHECK(status() == RINGC_ERROR_INPUT);
  CHECK(lastError().find("lastt") != std::string::npos);
  arguments[0] = {.name = "own.seen", .kind = 9};
  CHECK(status() == RINGC_ERROR_INPUT);
  CHECK(lastError().find("kind of argument own.seen: got 9") != std::string::npos);
  arguments[0] = arguments[1];
  CHECK(status() == RINGC_ERROR_INPUT);
  CHECK(lastError() == "argument own.seen: got two values, allowed: one");
}

TEST_CASE("what DLPack brings") {
  struct Managed {
    ringc_tensor tensor;
    void *manager;
    void (*deleter)(Managed *);
  } managed{};
  struct Versioned {
    uint32_t major, minor;
    void *manager;
    void (*deleter)(Versioned *);
    uint64_t flags;
    ringc_tensor tensor;
  } versioned{1, 1, nullptr, nullptr, 1, {}};
  Problem problem(3);
  managed.tensor = versioned.tensor = problem.q.view;
  ringc_tensor view{};
  CHECK(ringc_tensor_from_dlpack(&managed, 0, 1, &view) == RINGC_OK);
  CHECK(view.data == problem.q.numbers.data());
  view = {};
  CHECK(ringc_tensor_from_dlpack(&versioned, 1, 0, &view) == RINGC_OK);
  CHECK(view.shape == problem.q.axes.data());
  CHECK(ringc_tensor_from_dlpack(&versioned, 1, 1, &view) == RINGC_ERROR_INPUT);
  CHECK(lastError() == "tensor: got read-only, allowed: one that may be written, for a result");
  versioned.major = 2;
  CHECK(ringc_tensor_from_dlpack(&versioned, 1, 0, &view) == RINGC_ERROR_INPUT);
  CHECK(lastError() == "DLPack version: got 2.1, allowed: 1.x");
}

TEST_CASE("NULL is refused, or destroyed") {
  CHECK(ringc_context_create(nullptr, nullptr) == RINGC_ERROR_INPUT);
  ringc_attention *attention = nullptr;
  CHECK(ringc_attention_create(nullptr, nullptr, nullptr, &attention) == RINGC_ERROR_INPUT);
  CHECK(lastError() == "context: got NULL, allowed: an address");
  CHECK(ringc_attention_forward(nullptr, nullptr, nullptr, nullptr, nullptr, 0) ==
        RINGC_ERROR_INPUT);
  CHECK(ringc_decode_run(nullptr, nullptr, nullptr, nullptr, nullptr, nullptr) ==
        RINGC_ERROR_INPUT);
  CHECK(ringc_cache_append(nullptr, 0, nullptr, nullptr) == RINGC_ERROR_INPUT);
  CHECK(ringc_group_close(nullptr) == RINGC_ERROR_INPUT);
  CHECK(ringc_shard(nullptr, 0, nullptr, 0, 1, nullptr) == RINGC_ERROR_INPUT);
  CHECK(ringc_compile(nullptr, nullptr, 0, nullptr, nullptr, nullptr, nullptr, nullptr) ==
        RINGC_ERROR_INPUT);
  ringc_context_destroy(nullptr);
  ringc_group_destroy(nullptr);
  ringc_attention_destroy(nullptr);
  ringc_decode_destroy(nullptr);
  ringc_cache_destroy(nullptr);
  ringc_free(nullptr);
}

TEST_CASE("a struct of a newer header, whose new fields are not used") {
  ContextHandle context = hostContextHandle();
  AttentionHandle attention = attentionHandle(context);
  Problem problem(7);
  struct Newer {
    ringc_attention_inputs known;
    int64_t added;
  } newer{problem.inputs, 0};
  newer.known.size = sizeof newer;
  CHECK(ringc_attention_forward(attention.get(), nullptr, &newer.known, &problem.results, nullptr,
                                0) == RINGC_OK);
  newer.added = 1;
  CHECK(ringc_attention_forward(attention.get(), nullptr, &newer.known, &problem.results, nullptr,
                                0) == RINGC_ERROR_INPUT);
  CHECK(lastError() == "inputs: has fields that this version of ringc does not know");
}
