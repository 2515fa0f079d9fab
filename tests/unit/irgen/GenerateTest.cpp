#include "tests/unit/irgen/Generated.h"

#include <doctest/doctest.h>

using namespace ringc;

namespace {

/// The lines occur in this order; gives the first that does not, or "".
std::string missing(const std::string &text, std::initializer_list<const char *> lines) {
  size_t at = 0;
  for (const char *line : lines) {
    size_t found = text.find(line, at);
    if (found == text.npos)
      return std::string(line) + "\nin\n" + text;
    at = found + 1;
  }
  return "";
}

constexpr const char *userKernel = R"(
score half(s: f32, b: index, h: index, i: index, j: index, c: f32) { return s * c }
derivative half(s: f32, b: index, h: index, i: index, j: index, c: f32) { return c }
mask dilated(b: index, h: index, i: index, j: index, step: i32, reach: view<i32>[H]) {
  return (i - j) % step == 0 and i - j < reach[h]
}
mask fourth(b: index, h: index, i: index, j: index) { return (i - j) % 4 == 0 }
function square(x: f32) -> f32 { return x * x }
function first(x: f32, y: f32) -> f32 { return x }
function seven(x: f32) -> f32 { return 7 }
)";

} // namespace

TEST_CASE("every kernel of the library verifies for every type, mask and score") {
  for (const char *kernel : {"attention_forward",
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
    for (ElementType type : {ElementType::F32, ElementType::F16, ElementType::BF16}) {
      CAPTURE(kernel);
      std::string text =
          generated({.kernel = kernel,
                     .headDim = 40,
                     .valueHeadDim = 24,
                     .groupSize = 2,
                     .dtype = type,
                     .mask = {"causal", "prefix", "window", "documents", "key_padding"},
                     .score = {"softcap", "alibi", "bias"}});
      CHECK_MESSAGE(!text.starts_with("does not verify"), text);
    }
}

TEST_CASE("the forward kernel") {
  std::string text = generated({.mask = {"causal"}, .score = {"alibi"}});
  CHECK(missing(
            text,
            {"func.func private @mask(%arg0: i32, %arg1: i32, %arg2: i32, %arg3: i32, %arg4: i32, "
             "%arg5: i32) -> i1",
             "arith.cmpi sle, %arg3, %arg2 : i32",
             "func.func private @score(%arg0: f32, %arg1: i32, %arg2: i32, %arg3: i32, %arg4: i32, "
             "%arg5: i32, %arg6: i32, %arg7: !tile.view<f32, [\"H\"]>) -> f32",
             "tile.element %arg7[%arg2]",
             "math.absi",
             "arith.sitofp",
             "func.func @attention_forward(%arg0: !tile.view<f32, [\"Nq\", \"64\"]> {tile.name = "
             "\"q\"}",
             "{tile.layout = \"any\", tile.name = \"qpos\"}",
             "!tile.view<f32, [\"H\"]> {tile.name = \"alibi.slope\"})",
             "tile.grid = [[\"Nq\", 64]], tile.group = 1 : i64, tile.head_map = \"blocked\", "
             "tile.kernel, tile.per_head",
             "tile.program_id 0",
             "tile.load %arg0",
             "tile.resume",
             "tile.extent \"Nk\"",
             "tile.masked_for @mask over 1",
             "step 128",
             "tile.dot",
             "tile.apply @score(",
             "tile.reduce max",
             "math.exp2",
             "tile.yield",
             "tile.finish",
             "tile.store"}) == "");
}

TEST_CASE("the identity and no mask leave nothing to apply") {
  std::string forward = generated({});
  CHECK(forward.find("tile.apply") == forward.npos);
  CHECK(missing(forward, {"func.func private @mask(", "arith.constant true", "return"}) == "");
  std::string backward = generated({.kernel = "attention_backward_dq"});
  CHECK(backward.find("tile.apply") == backward.npos);
  CHECK(missing(backward, {"arith.constant dense<1.000000e+00>"}) == "");
}

TEST_CASE("keys are the fixed axis where queries are looped over") {
  std::string text = generated({.kernel = "attention_backward_dkdv", .mask = {"causal"}});
  CHECK(missing(text, {"tile.grid = [[\"Nk\", 64]]", "tile.extent \"Nq\"",
                       "tile.masked_for @mask over 0", "tile.store add"}) == "");
}

TEST_CASE("data of queries and keys is indexed by row of the shard, a matrix of both by the key's "
          "position") {
  std::string text = generated({.mask = {"documents", "key_padding"}, .score = {"bias"}});
  // b, h, i, j, queryRow, keyRow are arguments 0 to 5; of a score one later.
  CHECK(missing(text, {"tile.element %arg6[%arg4]", "tile.element %arg7[%arg5]",
                       "tile.element %arg8[%arg0, %arg5]",
                       "tile.element %arg7[%arg1, %arg2, %arg5, %arg4]"}) == "");
}

TEST_CASE("parameters of masks and scores follow the kernel's own") {
  std::string text = generated({.mask = {"window", "dilated"}, .score = {"softcap"}}, userKernel);
  CHECK(missing(text, {"tile.name = \"lse\"", "tile.name = \"window.left\"",
                       "tile.name = \"window.right\"", "tile.name = \"dilated.step\"",
                       "tile.name = \"dilated.reach\"", "tile.name = \"softcap.cap\""}) == "");
}

TEST_CASE("division by what may be 0 or -1 is guarded, by a constant it is not") {
  std::string guarded = generated({.mask = {"dilated"}}, userKernel);
  CHECK(missing(guarded, {"arith.cmpi eq", "arith.select", "arith.floordivsi"}) == "");
  std::string plain = generated({.mask = {"fourth"}}, userKernel);
  CHECK(missing(plain, {"arith.floordivsi"}) == "");
  CHECK(plain.substr(0, plain.find("func.func @attention_forward")).find("arith.select") ==
        plain.npos);
}

TEST_CASE("a score's own derivative is named; in a list each score is applied for itself") {
  std::string one = generated({.kernel = "attention_backward_dq", .score = {"half"}}, userKernel);
  CHECK(missing(one, {"func.func private @score(", "tile.derivative = @score.given_derivative",
                      "func.func private @score.given_derivative(",
                      "tile.apply derivative @score("}) == "");
  std::string two =
      generated({.kernel = "attention_backward_dq", .score = {"softcap", "half"}}, userKernel);
  CHECK(missing(two,
                {"func.func private @score.0(", "func.func private @score.1(",
                 "tile.apply @score.0(", "tile.apply @score.1(", "tile.apply derivative @score.0(",
                 "tile.apply @score.0(", "tile.apply derivative @score.1(", "arith.mulf"}) == "");
}

TEST_CASE("functions of scalars on tiles, plain loops, fills, masks by name") {
  std::string text = generated({.kernel = "k", .headDim = 16, .dtype = ElementType::F16},
                               std::string(userKernel) + R"(
kernel k<D, T: type, BQ = 8>(x: view<T>[Nq, D], y: view<f32>[Nq, D], qpos: positions[Nq], kpos: positions[Nk], w: f32)
  over rows in Nq step BQ
{
  var sum = zeros<f32>[BQ, D]
  var count = 0
  for c in 0 .. Nk step BQ {
    let t = cast<f32>(x[c + rows : BQ, : else -inf])
    sum += square(t) + first(w, t) * seven(t)
    sum -= where(fourth(qpos[rows : BQ], kpos[c : BQ]), 1, 0) * 0 + zeros<f32>[BQ, 1]
    count += c / D
  }
  y[rows : BQ, :] = sum * f32(count)
}
)");
  // The window of the mask is [BQ, BQ], the sum [BQ, D]: refused. With D = BQ it would be another
  // kernel.
  CHECK(text.find("shapes do not agree") != text.npos);
}

TEST_CASE("a kernel with scalars in a plain loop") {
  std::string text =
      generated({.kernel = "k", .dtype = ElementType::F16}, std::string(userKernel) + R"(
kernel k<T: type, BM = 8, BN = 16>(x: view<T>[M, N], y: view<f32>[M, N], w: f32) over r in M step BM, c in N step BN {
  var sum = zeros<f32>[BM, BN]
  var count = 0
  for k in 0 .. N step BN {
    let t = cast<f32>(x[r : BM, k + 1 : BN else -inf])
    sum += square(t) + first(w, t) * seven(t)
    count += k / BN
  }
  y[r : BM, c : BN] = sum * f32(count)
}
)");
  CHECK(missing(text, {"func.func @k(", "tile.grid = [[\"M\", 8], [\"N\", 16]], tile.kernel}",
                       "tile.program_id 0", "tile.program_id 1", "tile.extent \"N\"", "scf.for",
                       "iter_args", "0xFC00 : f16", "tile.load", "else", "arith.extf", "arith.mulf",
                       "tile.splat", "arith.floordivsi", "scf.yield", "arith.sitofp",
                       "tile.store"}) == "");
  CHECK(text.find("tile.per_head") == text.npos);
}

TEST_CASE("a mask called by its own name brings its parameters") {
  std::string text = generated({.kernel = "k"}, R"(
kernel k<BQ = 8>(y: view<f32>[Nq, BQ], qpos: positions[Nq], kpos: positions[Nk]) over rows in Nq step BQ {
  var sum = zeros<f32>[BQ, BQ]
  for c in 0 .. Nk step BQ if seen = window(qpos[rows : BQ], kpos[c : BQ]) {
    sum += where(seen and causal(qpos[rows : BQ], kpos[c : BQ]), 1, 0)
  }
  y[rows : BQ, :] = sum
}
)");
  CHECK(missing(text, {"func.func private @window(", "func.func private @causal(", "func.func @k(",
                       "tile.name = \"window.left\"", "tile.masked_for @window over 1",
                       "tile.apply @causal"}) == "");
}

TEST_CASE("locations point into the .tile source") {
  std::string text = generated({.mask = {"causal"}}, "", {}, /*locations=*/true);
  CHECK(missing(text, {"masks.tile:5:", "attention_forward.tile:"}) == "");
}

TEST_CASE("the same input gives the same text") {
  Spec spec{.mask = {"causal", "window"}, .score = {"softcap", "alibi"}};
  CHECK(generated(spec) == generated(spec));
}
