// Input that cannot be: each message names the argument, its value, and what is allowed.

#include "tests/attention/AttentionCase.h"

#include "ringc/support/Error.h"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <limits>
#include <vector>

using namespace ringc;
using namespace ringc::test;

namespace {

struct Inputs {
  HostTensor q{DType::F32, {2, 10, 4, 32}}, k{DType::F32, {2, 12, 2, 32}},
      v{DType::F32, {2, 12, 2, 32}};
  AttentionInputs all{.q = q, .k = k, .v = v};
};

AttentionOptions fitting() { return {.heads = 4, .kvHeads = 2, .headDim = 32}; }

/// The message of a forward, or "" where there is none.
std::string messageOf(const AttentionOptions &options, const AttentionInputs &inputs,
                      int world = 2) {
  try {
    HostAttentionRing ring(options, world, context());
    (void)ring.forward(inputs);
  } catch (const InputError &error) {
    return error.what();
  }
  return "";
}

template <typename Change> std::string messageAfter(Change &&change) {
  AttentionOptions options = fitting();
  change(options);
  Inputs inputs;
  return messageOf(options, inputs.all);
}

template <typename Change> std::string messageWith(Change &&change) {
  Inputs inputs;
  change(inputs.all);
  return messageOf(fitting(), inputs.all);
}

} // namespace

TEST_CASE("what fits is accepted") {
  Inputs inputs;
  CHECK(messageOf(fitting(), inputs.all) == "");
}

TEST_CASE("options that cannot be") {
  static constexpr double infinity = std::numeric_limits<double>::infinity();
  using Options = AttentionOptions;
  CHECK(messageAfter([](Options &o) { o.heads = 0; }) == "heads: got 0, allowed: 1 to 1048576");
  CHECK(messageAfter([](Options &o) { o.kvHeads = 8; }) ==
        "kv heads: got 8, allowed: a divisor of heads, 4");
  CHECK(messageAfter([](Options &o) { o.kvHeads = -2; }) ==
        "kv heads: got -2, allowed: a divisor of heads, 4");
  CHECK(messageAfter([](Options &o) { o.alibiSlopes = {1, 1, 1, 1}; }) ==
        "ALiBi slopes: got 4, allowed: none without ALiBi");
  CHECK(messageAfter([](Options &o) {
          o.alibi = true;
          o.alibiSlopes = {1, 1, 1};
        }) == "ALiBi slopes: got 3, allowed: one for each head, 4");
  CHECK(messageAfter([](Options &o) {
          o.alibi = true;
          o.alibiSlopes = {1, 1, INFINITY, 1};
        }) == "ALiBi slope of head 2: got inf, allowed: a finite number");
  CHECK(messageAfter([](Options &o) { o.kvHeads = 3; }) ==
        "kv heads: got 3, allowed: a divisor of heads, 4");
  CHECK(messageAfter([](Options &o) { o.headDim = 257; }) ==
        "head dim: got 257, allowed: 1 to 256");
  CHECK(messageAfter([](Options &o) { o.dtype = DType::I32; }) ==
        "dtype: got i32, allowed: f32, f16, bf16");
  CHECK(messageAfter([](Options &o) { o.scale = std::numeric_limits<double>::quiet_NaN(); }) ==
        "scale: got nan, allowed: a number below 2^126 (8.5e37) in magnitude");
  CHECK(messageAfter([](Options &o) { o.scale = 1e300; }) ==
        "scale: got 1e+300, allowed: a number below 2^126 (8.5e37) in magnitude");
  CHECK(messageAfter([](Options &o) { o.softcap = 0; }) ==
        "softcap: got 0, allowed: 1e-30 to 1e30");
  CHECK(messageAfter([](Options &o) { o.softcap = 1e-31; }) ==
        "softcap: got 1e-31, allowed: 1e-30 to 1e30");
  CHECK(messageAfter([](Options &o) {
          o.softcap = 1e-10;
          o.scale = 1e30;
        }) ==
        "softcap: got 1e-10 with scale 1e+30, allowed: a scale below 2^126 (8.5e37) times it");
  CHECK(messageAfter([](Options &o) { o.softcap = infinity; }) ==
        "softcap: got inf, allowed: 1e-30 to 1e30");
  CHECK(messageAfter([](Options &o) { o.window.left = -2; }) ==
        "window left: got -2, allowed: -1 to 2147483647");
  CHECK(messageAfter([](Options &o) { o.prefix = -1; }) ==
        "prefix: got -1, allowed: 0 to 2147483647");
  CHECK(messageAfter([](Options &o) { o.ringSize = 3; }) ==
        "ring size: got 3, allowed: a divisor of the world, 2");
  CHECK(messageAfter([](Options &o) { o.tile = {{"k", 64}}; }) ==
        "tile: got k, allowed: q, kv, warps, n_warps, micro_rows, micro_vectors, micro_depth, or "
        "KERNEL.q for "
        "one kernel alone");
  CHECK(messageAfter([](Options &o) { o.tile = {{"q", 0}}; }) ==
        "tile q: got 0, allowed: 1 to 4096");
}

TEST_CASE("tensors that do not agree") {
  HostTensor other(DType::F32, {2, 12, 2, 16}), half(DType::F16, {2, 12, 2, 32}),
      flat(DType::F32, {2, 12, 64}), ints(DType::I32, {12}), mask(DType::Bool, {2, 10}),
      bias(DType::F32, {3, 1, 10, 12});
  CHECK(messageWith([&](AttentionInputs &i) { i.k = other; }) ==
        "k: got f32[2, 12, 2, 16], allowed: f32[2, 12, 2, 32]");
  CHECK(messageWith([&](AttentionInputs &i) { i.v = half; }) ==
        "v: got f16[2, 12, 2, 32], allowed: f32[2, 12, 2, 32]");
  CHECK(messageWith([&](AttentionInputs &i) { i.q = flat; }) ==
        "q: got f32[2, 12, 64], allowed: four axes: batch, sequence, heads, head dim");
  CHECK(messageWith([&](AttentionInputs &i) { i.keyMask = mask; }) ==
        "key mask: got bool[2, 10], allowed: bool[2, 12]");
  CHECK(messageWith([&](AttentionInputs &i) { i.bias = bias; }) ==
        "bias: got f32[3, 1, 10, 12], allowed: f32, f16 or bf16 [2 or 1, 4 or 1, 10, 12]");
  ints.dataAs<int32_t>()[11] = 12;
  ints.dataAs<int32_t>()[3] = -1;
  CHECK(messageWith([&](AttentionInputs &i) { i.cuSeqlens = ints; }) ==
        "cu_seqlens[3]: got -1, allowed: numbers that rise from 0 to the 12 keys");
}

TEST_CASE("rows and lengths that kernels cannot count are refused before anything runs") {
  std::vector<float> row(32);
  auto repeated = [&](int64_t n, int64_t heads) { // one row, over and over
    return Tensor(row.data(), DType::F32, std::array<int64_t, 4>{1, n, heads, 32},
                  std::array<int64_t, 4>{0, 0, 0, 1});
  };
  auto message = [&](int64_t queries, int64_t keys, int world,
                     SequenceLayout layout = SequenceLayout::contiguous()) {
    AttentionOptions options = fitting();
    options.layout = layout;
    try {
      HostAttentionRing ring(options, world, context());
      (void)ring.plans(Pass::Forward,
                       {.q = repeated(queries, 4), .k = repeated(keys, 2), .v = repeated(keys, 2)});
    } catch (const InputError &error) {
      return std::string(error.what());
    }
    return std::string();
  };
  constexpr int64_t limit = int64_t(1) << 31, most = limit - 1 - (1 << 16);
  CHECK(message(limit, 8, 4) == "queries: got 2147483648, allowed: 0 to 2147483647");
  CHECK(message(8, limit, 4) == "keys: got 2147483648, allowed: 0 to 2147483647");
  CHECK(message(8, limit + 1, 4) == "sequence length: got 2147483649, allowed: 0 to 2^31");
  for (const SequenceLayout &layout :
       {SequenceLayout::contiguous(), SequenceLayout::striped(3), SequenceLayout::zigzag()}) {
    CHECK(message(8, limit - 200000, 4, layout) == "");
    CHECK(message(limit - 200000, 8, 1, layout).starts_with("queries of a rank: got 21472"));
  }
  CHECK(message(8, most + 1, 1) == "keys of a rank: got 2147418112 rows, allowed: at most "
                                   "2147418111; more ranks hold fewer each");
  CHECK(message(most / 2 + 1, 8, 1) ==
        "queries of a rank: got 1073709056 rows for each of 2 heads, allowed: at most 1073709055; "
        "more ranks hold fewer each");
}

TEST_CASE("documents want no more queries than keys") {
  Inputs inputs;
  HostTensor starts(DType::I32, {2});
  starts.dataAs<int32_t>()[1] = 10;
  AttentionInputs swapped{
      .q = inputs.q, .k = inputs.k.view().slice(1, 0, 5), .v = inputs.v.view().slice(1, 0, 5)};
  swapped.cuSeqlens = starts;
  CHECK(messageOf(fitting(), swapped) ==
        "cu_seqlens: got 10 queries and 5 keys, allowed: no more queries than keys");
}

TEST_CASE("arguments of the user's functions") {
  AttentionOptions options = fitting();
  options.masks = {{.file = "m.tile",
                    .name = "near",
                    .text = "mask near(b: index, h: index, i: index, j: index, width: i32,\n"
                            "          reach: view<i32>[H]) {\n"
                            "  return i - j < width + reach[h]\n}\n"}};
  Inputs inputs;
  HostTensor reach(DType::I32, {4}), three(DType::I32, {3});
  auto with = [&](std::map<std::string, ArgumentValue> arguments) {
    inputs.all.arguments = std::move(arguments);
    return messageOf(options, inputs.all);
  };
  ArgumentValue two = int64_t(2), table = reach.view();
  CHECK(with({{"width", two}, {"reach", table}}) == "");
  CHECK(with({{"width", two}}) == "argument near.reach: got nothing, allowed: i32 [H]");
  CHECK(with({{"width", two}, {"reach", three.view()}}) ==
        "argument near.reach: got i32[3], allowed: i32 [H] with H = 4");
  CHECK(with({{"width", 2.5}, {"reach", table}}) ==
        "argument near.width: got 2.500000, allowed: i32");
  CHECK(with({{"width", int64_t(1) << 40}, {"reach", table}}) ==
        "argument near.width: got 1099511627776, allowed: i32");
  CHECK(with({{"width", table}, {"reach", table}}) ==
        "argument near.width: got i32[4], allowed: i32");
  CHECK(with({{"width", two}, {"reech", table}}) ==
        "argument reech: got an unknown name, allowed: near.width, near.reach; did you mean "
        "reach?");
  CHECK(with({{"width", two}, {"near.width", two}, {"reach", table}}) ==
        "argument width: got two values, allowed: one for near.width");
}

TEST_CASE("a source with errors is shown at their places") {
  AttentionOptions options = fitting();
  options.masks = {{.file = "m.tile",
                    .name = "near",
                    .text = "mask near(b: index, h: index, i: index, j: index) {\n"
                            "  return i - k < 2\n}\n"}};
  Inputs inputs;
  std::string message = messageOf(options, inputs.all);
  CHECK(message.starts_with("m.tile:2:14: error: "));
  options.masks[0].name = "far";
  options.masks[0].text = "mask near(b: index, h: index, i: index, j: index) { return true }\n";
  CHECK(messageOf(options, inputs.all).starts_with("mask: got m.tile:far, allowed: m.tile:near"));
  options.masks = {{.file = "no such file.tile", .name = "far"}};
  CHECK(messageOf(options, inputs.all) == "no such file.tile: cannot be read");
}

TEST_CASE("after an error the ring works again") {
  Inputs inputs;
  HostAttentionRing ring(fitting(), 2, context());
  AttentionInputs wrong = inputs.all;
  wrong.v = inputs.q;
  CHECK_THROWS_AS(ring.forward(wrong), InputError);
  CHECK_NOTHROW(ring.forward(inputs.all));
}
