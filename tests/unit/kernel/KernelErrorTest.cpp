// Arguments that cannot be: each message names the argument, its value, and what is allowed.

#include "ringc/jit/HostCompiler.h"
#include "ringc/kernel/Kernel.h"
#include "ringc/support/Error.h"

#include <doctest/doctest.h>

#include <functional>
#include <limits>
#include <string>
#include <vector>

using namespace ringc;

namespace {

const AttentionContext &context() {
  static const AttentionContext shared = hostContext(1);
  return shared;
}

std::string messageOf(const std::function<void()> &body) {
  try {
    body();
  } catch (const InputError &error) {
    return error.what();
  }
  return "";
}

constexpr const char *text = R"(
kernel scaled<T: type, BM = 8, BN = 16>(x: view<T>[M, N], w: view<f32>[M], four: view<f32>[4, N], y: view<f32>[M, N],
                                        scale: f32, shift: i32, on: bool)
  over r in M step BM
{
  for c in 0 .. N step BN {
    y[r : BM, c : BN] = where(on, cast<f32>(x[r : BM, c : BN]) * scale, 0.0) + w[r : BM] + f32(shift) + four[0 : 1, c : BN]
  }
}
mask picked(b: index, h: index, i: index, j: index, table: view<i32>[H, S]) { return table[h, j] > 0 }
)";

struct Problem {
  HostTensor x{DType::F32, {10, 20}}, w{DType::F32, {10}}, four{DType::F32, {4, 20}},
      y{DType::F32, {10, 20}};
  KernelViews views{{"x", x}, {"w", w}, {"four", four}, {"y", y}};
  KernelValues values{{"scale", 1.0}, {"shift", 1}, {"on", true}};
};

template <typename Change> std::string messageWith(Change &&change) {
  static const Kernel kernel(context(), {.kernel = "scaled", .source = "user.tile"},
                             {{"user.tile", text}}, "");
  Problem problem;
  change(problem);
  return messageOf([&] { launch(kernel, problem.views, problem.values, *context().pool); });
}

struct AttentionProblem {
  HostTensor q{DType::F32, {2, 10, 4, 16}}, k{DType::F32, {2, 12, 2, 16}},
      v{DType::F32, {2, 12, 2, 16}}, out{DType::F32, {2, 10, 4, 16}}, lse{DType::F32, {2, 4, 10}},
      rowMax{DType::F32, {2, 4, 10}}, rowSum{DType::F32, {2, 4, 10}}, table{DType::I32, {4, 5}};
  KernelViews views{{"q", q},
                    {"k", k},
                    {"v", v},
                    {"out", out},
                    {"lse", lse},
                    {"row_max", rowMax},
                    {"row_sum", rowSum},
                    {"table", table}};
  KernelValues values{{"scale", 1.0}, {"qpos", Positions()}, {"kpos", Positions()}};
};

template <typename Change>
std::string attentionMessageWith(Change &&change, int64_t group = 1,
                                 LayoutKind layout = LayoutKind::Any) {
  Kernel kernel(
      context(),
      {.headDim = 16, .groupSize = group, .keyLayout = layout, .mask = {"user.tile:picked"}},
      {{"user.tile", text}}, "");
  AttentionProblem problem;
  change(problem);
  return messageOf([&] { launch(kernel, problem.views, problem.values, *context().pool); });
}

} // namespace

TEST_CASE("what fits is accepted") {
  CHECK(messageWith([](Problem &) {}) == "");
  CHECK(attentionMessageWith([](AttentionProblem &) {}) == "");
  CHECK(attentionMessageWith([](AttentionProblem &) {}, 2) == "");
  HostTensor shared(DType::I32, {1, 5});
  CHECK(attentionMessageWith([&](AttentionProblem &p) { p.views["table"] = shared; }) == "");
}

TEST_CASE("names") {
  CHECK(messageWith([](Problem &p) { p.views.erase("w"); }) ==
        "argument w: got nothing, allowed: a view, f32 [M]");
  CHECK(messageWith([](Problem &p) { p.values.erase("scale"); }) ==
        "argument scale: got nothing, allowed: a value, f32");
  CHECK(messageWith([](Problem &p) { p.views["fourr"] = p.four; }) ==
        "argument fourr: got an unknown name, allowed: those of kernel scaled: x, w, four, y, "
        "scale, shift, on; did you mean four?");
  CHECK(messageWith([](Problem &p) { p.values["w"] = 1.0; }) ==
        "argument w: got two values, allowed: one for w");
  CHECK(messageWith([](Problem &p) {
          p.values.erase("scale");
          p.views["scale"] = p.w;
        }) == "argument scale: got f32[10], allowed: a value, f32");
  CHECK(messageWith([](Problem &p) {
          p.views.erase("w");
          p.values["w"] = 2;
        }) == "argument w: got 2, allowed: a view, f32 [M]");
  CHECK(attentionMessageWith([](AttentionProblem &p) { p.views["picked.table"] = p.table; }) ==
        "argument table: got two values, allowed: one for picked.table");
}

TEST_CASE("types and shapes") {
  HostTensor half(DType::F16, {10, 20}), cube(DType::F32, {10, 20, 1}), three(DType::F32, {3, 20}),
      longer(DType::F32, {11}), wider(DType::F32, {10, 21});
  CHECK(messageWith([&](Problem &p) { p.views["x"] = half; }) ==
        "argument x: got f16[10, 20], allowed: a view, f32 [M, N]");
  CHECK(messageWith([&](Problem &p) { p.views["x"] = cube; }) ==
        "argument x: got f32[10, 20, 1], allowed: a view, f32 [M, N]");
  CHECK(messageWith([&](Problem &p) { p.views["four"] = three; }) ==
        "argument four: got f32[3, 20], allowed: a view, f32 [4, N]");
  CHECK(messageWith([&](Problem &p) { p.views["w"] = longer; }) ==
        "extent M: got 11 of view w, f32[11], allowed: 10, that of view x, f32[10, 20]");
  CHECK(messageWith([&](Problem &p) { p.views["y"] = wider; }) ==
        "extent N: got 21 of view y, f32[10, 21], allowed: 20, that of view x, f32[10, 20]");
  CHECK(messageWith([&](Problem &p) { p.values["M"] = 9; }) ==
        "extent M: got 9 of the value given for it, allowed: 10, that of view x, f32[10, 20]");
  CHECK(messageWith([](Problem &p) {
          float one = 0;
          std::vector<int64_t> shape{int64_t(1) << 31}, rows{int64_t(1) << 31, 20}, none{0, 1};
          p.views["x"] = Tensor(&one, DType::F32, rows, none);
          p.views["w"] = Tensor(&one, DType::F32, shape, std::vector<int64_t>{0});
          p.views["y"] = Tensor(&one, DType::F32, rows, none);
        }) == "extent M: got 2147483648, allowed: 0 to 2147418111");
}

TEST_CASE("memory and strides") {
  HostTensor wide(DType::F32, {10, 40});
  std::vector<int64_t> shape{10, 20};
  CHECK(messageWith([&](Problem &p) {
          p.views["x"] = Tensor(wide.data(), DType::F32, shape, std::vector<int64_t>{40, 2});
        }) == "argument x: stride of the last axis: got 2, allowed: 1");
  CHECK(messageWith([&](Problem &p) {
          p.views["y"] = Tensor(wide.data(), DType::F32, shape, std::vector<int64_t>{0, 1});
        }) == "argument y: stride of axis 0: got 0, allowed: another: the kernel writes it");
  CHECK(messageWith([&](Problem &p) { p.views["x"] = Tensor(nullptr, DType::F32, shape); }) ==
        "argument x: got f32[10, 20] without memory, allowed: an address");
  CHECK(messageWith([&](Problem &p) {
          p.views["x"] = Tensor(wide.dataAs<char>() + 2, DType::F32, shape);
        }) == "argument x: got an address that is no multiple of 4, allowed: one that is, as f32 "
              "wants it");
  HostTensor none(DType::I32, {4, 0});
  CHECK(attentionMessageWith([&](AttentionProblem &p) { p.views["table"] = none; }) ==
        "argument picked.table: got i32[4, 0], allowed: i32 [H, S] with 1 to 2147483647 elements "
        "along axis 1");
}

TEST_CASE("values") {
  CHECK(messageWith([](Problem &p) { p.values["shift"] = 1.5; }) ==
        "argument shift: got 1.500000, allowed: i32");
  CHECK(messageWith([](Problem &p) { p.values["shift"] = int64_t(1) << 31; }) ==
        "argument shift: got 2147483648, allowed: i32");
  CHECK(messageWith([](Problem &p) { p.values["on"] = 1; }) == "argument on: got 1, allowed: bool");
  CHECK(messageWith([](Problem &p) { p.values["scale"] = true; }) ==
        "argument scale: got true, allowed: f32");
  CHECK(messageWith([](Problem &p) {
          p.values["scale"] = 1e39;
        }).starts_with("argument scale: got 9999"));
  CHECK(messageWith(
            [](Problem &p) { p.values["scale"] = std::numeric_limits<double>::infinity(); }) == "");
  CHECK(messageWith([](Problem &p) { p.values["scale"] = Positions{3, 1, 1}; }) ==
        "argument scale: got positions {3, 1, 1}, allowed: a value, f32");
}

TEST_CASE("heads, positions and running states") {
  HostTensor five(DType::F32, {2, 10, 5, 16});
  CHECK(attentionMessageWith([&](AttentionProblem &p) { p.views["q"] = five; })
            .starts_with("extent H: got 4 of view out, f32[2, 10, 4, 16], allowed: 5, that of "
                         "view q, f32[2, 10, 5, 16]"));
  CHECK(attentionMessageWith([&](AttentionProblem &p) {
          p.views["q"] = p.views["out"] = five;
          p.views["lse"] = p.views["row_max"] = p.views["row_sum"] =
              Tensor(five.data(), DType::F32, {2, 5, 10});
          p.views["table"] = Tensor(five.data(), DType::I32, {5, 5});
        }) == "extent H: got 5 of view q, f32[2, 10, 5, 16], allowed: a multiple of Hkv, 2 of view "
              "k, f32[2, 12, 2, 16]");
  CHECK(attentionMessageWith([](AttentionProblem &) {}, 4) ==
        "extent H: got 4 of view q, f32[2, 10, 4, 16], allowed: 8: Hkv is 2 of view k, f32[2, 12, "
        "2, 16], and the spec's group_size 4");
  HostTensor wide(DType::F32, {2, 10, 4, 32});
  CHECK(attentionMessageWith([&](AttentionProblem &p) { p.views["q"] = wide; }) ==
        "argument q: got f32[2, 10, 4, 32], allowed: a view, f32 [B, Nq, H, 16]");
  CHECK(attentionMessageWith([](AttentionProblem &p) { p.values.erase("qpos"); }) ==
        "argument qpos: got nothing, allowed: Positions, first, block and jump, of the rows Nq");
  CHECK(attentionMessageWith([](AttentionProblem &p) { p.values["qpos"] = Positions{0, 0, 1}; }) ==
        "argument qpos: got positions {0, 0, 1}, allowed: a block of 1 or more, all of them i32");
  CHECK(attentionMessageWith([](AttentionProblem &p) {
          p.values["kpos"] = Positions{2147483640, 1, 1};
        }) == "argument kpos: got positions {2147483640, 1, 1}, allowed: i32 for each of the 12 "
              "rows");
  CHECK(attentionMessageWith([](AttentionProblem &p) { p.values["kpos"] = Positions{0, 1, 2}; }, 1,
                             LayoutKind::Contiguous) ==
        "argument kpos: got positions {0, 1, 2}, allowed: as the spec's layout contiguous has it: "
        "a jump as long as the block");
  CHECK(attentionMessageWith([](AttentionProblem &p) { p.values["state"] = 1; }) ==
        "argument state: got 1, allowed: a CarryStep, begins and ends");
  CHECK(attentionMessageWith([](AttentionProblem &p) {
          p.values["state"] = CarryStep{.begins = true, .ends = false};
        }) == "argument state: got a running state that begins and stays, allowed: one that begins "
              "and ends; a bound launch keeps others (Kernel::bind)");
}

TEST_CASE("what a bound kernel is set to") {
  Kernel kernel(context(), {.kernel = "scaled", .source = "user.tile"}, {{"user.tile", text}}, "");
  Problem p;
  KernelLaunch bound = kernel.bind(p.views, p.values);
  HostTensor other(DType::F32, {11, 20});
  CHECK(messageOf([&] { bound.set("x", other); }) ==
        "argument x: got f32[11, 20], allowed: f32[10, 20], as it was bound");
  CHECK(messageOf([&] { bound.set("scale", other); }) ==
        "argument scale: got f32[11, 20], allowed: a value, f32");
  CHECK(messageOf([&] { bound.set("on", 2); }) == "argument on: got 2, allowed: bool");
  CHECK(messageOf([&] { bound.set("M", 2); }).starts_with("argument M: got 2 for what is bound"));
  CHECK(messageOf([&] { bound.set("z", 2); }).starts_with("argument z: got an unknown name"));
  bound.run(*context().pool);
}

TEST_CASE("sums of other rows") {
  Kernel kernel(context(), {.kernel = "attention_backward_round", .headDim = 8, .groupSize = 2},
                std::vector<SourceText>(), "");
  HostTensor sum(DType::F32, {1, 2, 19, 8}), dq(DType::F32, {1, 10, 4, 8});
  CHECK(messageOf([&] {
          launch(kernel, {{"sum", sum}, {"dq", dq}}, {{"scale", 1}}, *context().pool);
        }) == "argument sum: got f32[1, 2, 19, 8], allowed: 24 rows and 16 columns, whole blocks "
              "of 8 x 16 for 20 x 8");
}

TEST_CASE("kernels that cannot be") {
  auto make = [](const Spec &spec, std::vector<SourceText> texts) {
    return messageOf([&] { Kernel(context(), spec, std::move(texts), ""); });
  };
  CHECK(make({.kernel = "none", .source = "user.tile"}, {{"user.tile", text}}).find("none") !=
        std::string::npos);
  CHECK(make({.kernel = "scaled", .source = "nowhere.tile"}, {}) == "nowhere.tile: cannot be read");
  CHECK(make({.kernel = "matmul"}, {{"user.tile", text}}) ==
        "text: got user.tile, allowed: those that the spec names: none");
  CHECK(make({.kernel = "matmul", .headDim = 0}, {}).starts_with("head_dim: got 0"));
  CHECK(make({.kernel = "wrong", .source = "w.tile"},
             {{"w.tile", "kernel wrong(x: view<f32>[M, N]) over r in M step 8 { let a = z }"}})
            .starts_with("w.tile:1:"));
}
