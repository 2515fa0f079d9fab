// Kernels read off their source: against what a test computes itself, against the reference of an
// attention, and against the compiler, for which they are a second opinion.

#include "tools/ringc/KernelInterpreter.h"
#include "ringc/compiler/Compiler.h"
#include "ringc/support/Error.h"
#include "ringc/tune/TuneRunner.h"
#include "tests/support/ReferenceAttention.h"
#include "tests/unit/compiler/RandomKernel.h"
#include "tools/ringc/KernelCheck.h"
#include "tools/ringc/KernelExtentFlags.h"
#include "tools/ringc/KernelPlace.h"

#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <numbers>

using namespace ringc;
using namespace ringc::cli;

namespace {

SourceSet sourcesOf(const std::string &text) {
  return makeSources(text.empty() ? std::vector<SourceText>()
                                  : std::vector<SourceText>{{"user.tile", text}});
}

using Arguments = std::map<std::string, ArgumentValue>;

/// The error of what the compiled kernel does, by the check of the source `text`.
double errorOf(Spec spec, const std::string &text, const KernelExtents &extents,
               const TileSizes &tile, const Arguments &arguments = {},
               const std::string &compiledText = "") {
  if (!text.empty())
    spec.source = "user.tile";
  SourceSet sources = sourcesOf(text);
  BoundKernel kernel(spec, sources, sourceTilesOf(spec, sources).sizes);
  KernelExtents all = extentsOf(kernel, extents);
  KernelCheck check(kernel, all, scalarsOf(kernel, arguments), 7);
  auto place = hostPlace(compiledText.empty() ? sources : sourcesOf(compiledText), 1);
  PlacedData placed = place->put(check.data());
  Spec tiled = spec;
  tiled.tile = tile;
  (void)place->run(tiled, placed, 1);
  double worst = 0;
  CHECK(!check.written().empty());
  for (const std::string &name : check.written())
    worst = std::max(worst, check.error(name, placed.data.views.at(name)));
  return worst;
}

} // namespace

TEST_CASE("windows with ragged ends, casts, reductions and masks, by hand") {
  constexpr const char *text = R"(
function damped(x: f32, width: f32) -> f32 { return x / (1 + abs(x / width)) }
kernel every<BM = 4, BN = 8>(x: view<f32>[M, N], narrow: view<bf16>[M, N], sums: view<f32>[M], most: view<f32>[1, N], w: f32)
  over r in M step BM
{
  var sum = zeros<f32>[BM, 1]
  for c in 0 .. N step BN {
    let t = x[r : BM, c : BN else -inf]
    sum += rowsum(where(t > 0.5 or t == -inf, 0.0, t))
    narrow[r : BM, c : BN] = cast<bf16>(damped(t, w) * 2)
    most[0 : 1, c : BN] = colmax(t) + f32(r / BM)
  }
  sums[r : BM] += sum
}
)";
  Spec spec{.kernel = "every", .source = "user.tile"};
  BoundKernel kernel(spec, sourcesOf(text), {});
  CHECK(kernel.extents() == std::vector<std::string>{"M", "N"});
  constexpr int64_t rows = 11, columns = 19;
  KernelExtents extents{{"M", rows}, {"N", columns}};
  KernelData data = randomData(kernel, extents, {{"w", 0.75}}, 5);
  std::vector<double> x = valuesOf(data.views.at("x")), before = valuesOf(data.views.at("sums"));
  auto results = KernelInterpreter(kernel, data, Precision::Double).run();
  REQUIRE(results.size() == 3);
  for (int64_t row = 0; row < rows; ++row) {
    double sum = before[size_t(row)];
    for (int64_t column = 0; column < columns; ++column) {
      double t = x[size_t(row * columns + column)];
      sum += t > 0.5 ? 0 : t;
      double narrow = results.at("narrow")[size_t(row * columns + column)];
      double wanted = 2 * t / (1 + std::abs(t / 0.75));
      CHECK(std::abs(narrow - wanted) <= std::abs(wanted) / 256);
      CHECK(narrow * 0x1p12 / std::exp2(std::floor(std::log2(std::abs(narrow)))) ==
            std::round(narrow * 0x1p12 / std::exp2(std::floor(std::log2(std::abs(narrow))))));
    }
    CHECK(results.at("sums")[size_t(row)] == doctest::Approx(sum).epsilon(1e-12));
  }
  for (int64_t column = 0; column < columns; ++column) { // of the last program
    double most = -INFINITY;
    for (int64_t row = 8; row < rows; ++row)
      most = std::max(most, x[size_t(row * columns + column)]);
    CHECK(results.at("most")[size_t(column)] == doctest::Approx(most + 2).epsilon(1e-12));
  }
}

TEST_CASE("tiles of integers, positions and random numbers, against the compiler") {
  constexpr const char *text = R"(
function folded(n: i32, m: i32) -> i32 { return n < m ? n % 7 : abs(n) / 3 }
kernel values<BQ = 8, BKV = 8>(
    qpos: positions[Nq], kpos: positions[Nk], ids: view<i32>[Nk], seed: i32, x: view<f32>[Nq, 8], y: view<f32>[Nq, 8], n: view<i32>[Nq], far: view<i32>[Nk])
  over rows in Nq step BQ
{
  let i = qpos[rows : BQ]
  let column = iota<i32>[1, 8]
  let t = x[rows : BQ, 0 : 8]
  y[rows : BQ, 0 : 8] = random(seed, 1, 2, i, column) + exp(min(t, 3)) + log(abs(t) + 1) + sin(t * 9) * cos(t) + erf(t)
  n[rows : BQ] = folded(i * 1000003 - 7, -i) + max(i32(rowsum(t) * 0.0), i - 5) + where(i % 3 == 1, i, -2)
  for cols in 0 .. Nk step BKV {
    far[cols : BKV] = kpos[cols : BKV] + ids[cols : BKV] * 0 + zeros<i32>[BKV, 1]
  }
}
)";
  Spec spec;
  spec.kernel = "values";
  for (int64_t group : {1, 2}) {
    spec.groupSize = group;
    KernelExtents extents{{"Nq", 19}, {"Nk", 23}, {"B", 2}, {"Hkv", 2}};
    CHECK(errorOf(spec, text, extents, {{"q", 8}, {"kv", 8}}, {{"seed", int64_t(5)}}) < 1);
    CHECK(errorOf(spec, text, extents, {{"q", 16}, {"kv", 5}}, {{"seed", int64_t(-5)}}) < 1);
  }
}

TEST_CASE("the kernels of the module, against the compiler") {
  for (std::string name : {"rms_norm", "rms_norm_backward", "gelu", "gelu_backward",
                           "cross_entropy", "cross_entropy_backward", "column_sums"}) {
    CAPTURE(name);
    Spec spec;
    spec.kernel = name;
    Arguments arguments;
    if (name.starts_with("cross_entropy"))
      arguments = {{"ignored", int64_t(-1)}};
    CHECK(errorOf(spec, "", {{"M", 21}, {"N", 70}}, {}, arguments) < 1);
  }
}

TEST_CASE("random kernels, of everything that tiles can go through") {
  constexpr std::pair<int64_t, int64_t> shapes[] = {{8, 16}, {5, 19}, {33, 7}, {1, 40}, {24, 1}};
  for (unsigned seed = 0; seed < 150; ++seed) {
    auto [rows, columns] = shapes[seed % std::size(shapes)];
    testing::RandomKernel random(seed, rows, columns);
    std::string text = random.text();
    CAPTURE(text);
    Spec spec{.kernel = "drawn", .source = "user.tile"};
    BoundKernel kernel(spec, sourcesOf(text), {{"m", rows}, {"n", columns}});
    KernelExtents extents{{"M", rows}, {"N", columns}};
    for (size_t at = 0; at < random.outputs().size(); ++at) {
      extents["M" + std::to_string(at)] = random.outputs()[at].rows;
      extents["N" + std::to_string(at)] = random.outputs()[at].columns;
    }
    KernelData data = randomData(kernel, extents, {}, seed);
    auto set = [&](const char *name, const testing::Matrix &matrix) {
      float *to = data.views.at(name).dataAs<float>();
      for (int64_t row = 0; row < matrix.rows(); ++row)
        for (int64_t column = 0; column < matrix.columns(); ++column)
          *to++ = float(matrix.at(row, column));
    };
    set("x", random.x());
    set("z", random.z());
    auto results = KernelInterpreter(kernel, data, Precision::Double).run();
    for (size_t at = 0; at < random.outputs().size(); ++at) {
      const std::vector<double> &wanted = random.outputs()[at].values,
                                &found = results.at("o" + std::to_string(at));
      REQUIRE(found.size() == wanted.size());
      double most = 0;
      for (size_t i = 0; i < wanted.size(); ++i)
        most = std::max(most, std::abs(found[i] - wanted[i]) / std::max(1.0, std::abs(wanted[i])));
      CHECK(most < 1e-5); // its constants are no f32
    }
  }
}

TEST_CASE("the library's forward, against the reference of an attention") {
  for (bool causal : {false, true})
    for (HeadMap map : {HeadMap::Blocked, HeadMap::Tiled}) {
      Spec spec{
          .headDim = 8, .valueHeadDim = 5, .groupSize = 2, .headMap = map, .score = {"alibi"}};
      if (causal)
        spec.mask = {"causal"};
      BoundKernel kernel(spec, sourcesOf(""), {{"q", 16}, {"kv", 16}});
      KernelExtents extents = extentsOf(kernel, {{"Nq", 21}, {"Nk", 37}, {"B", 2}, {"Hkv", 3}});
      KernelData data = randomData(kernel, extents, {{"scale", 0.5}}, 3);
      auto results = KernelInterpreter(kernel, data, Precision::Double).run();
      reference::Problem problem;
      auto array = [&](const char *name, int64_t rows, int64_t heads, int64_t dim) {
        return reference::arrayOf(
            Tensor(data.views.at(name).data(), DType::F32, {2, rows, heads, dim}));
      };
      problem.q = array("q", 21, 6, 8);
      problem.k = array("k", 37, 3, 8);
      problem.v = array("v", 37, 3, 5);
      problem.scale = 0.5;
      problem.mask.causal = causal;
      problem.headMap =
          map == HeadMap::Tiled ? reference::HeadMap::Tiled : reference::HeadMap::Blocked;
      problem.alibi = true;
      std::vector<double> slopes = valuesOf(data.views.at("alibi.slope"));
      problem.alibiSlopes.assign(slopes.begin(), slopes.end());
      // Heads lie in memory as the map counts them.
      auto headOf = [&](int64_t kv, int64_t g) {
        return map == HeadMap::Tiled ? g * 3 + kv : kv * 2 + g;
      };
      reference::Result wanted = reference::attention(problem);
      const std::vector<double> &out = results.at("out");
      size_t at = 0;
      for (int64_t b = 0; b < 2; ++b)
        for (int64_t kv = 0; kv < 3; ++kv)
          for (int64_t g = 0; g < 2; ++g)
            for (int64_t n = 0; n < 21; ++n)
              for (int64_t e = 0; e < 5; ++e)
                CHECK(std::abs(out[at++] - wanted.out.at(b, n, headOf(kv, g), e)) < 1e-5);
    }
}

TEST_CASE("what the compiler makes of the library's kernels, in any tiles") {
  for (ElementType type : {ElementType::F32, ElementType::BF16, ElementType::F16}) {
    CAPTURE(int(type));
    for (const char *product : {"matmul", "matmul_bt", "matmul_at"})
      CHECK(errorOf({.kernel = product, .dtype = type}, "", {{"M", 70}, {"N", 90}, {"K", 130}},
                    {{"m", 32}, {"n", 16}, {"k", 64}}) <= 1);
    CHECK(errorOf({.kernel = "row_softmax", .dtype = type}, "", {{"M", 35}, {"N", 300}},
                  {{"m", 32}, {"n", 128}}) <= 1);
    KernelExtents lengths{{"Nq", 70}, {"Nk", 77}, {"B", 2}, {"Hkv", 2}};
    KernelExtents queries{{"Nq", 70}, {"B", 2}, {"Hkv", 2}};
    Spec spec{.headDim = 24, .valueHeadDim = 16, .groupSize = 2, .dtype = type};
    auto of = [&](const char *kernel) {
      Spec made = spec;
      made.kernel = kernel;
      return made;
    };
    CHECK(errorOf(of("attention_delta"), "", queries, {{"q", 16}}, {{"exact", true}}) <= 1);
    CHECK(errorOf(of("attention_merge"), "", queries, {{"q", 48}}) <= 1);
    CHECK(errorOf(of("attention_backward_round"), "", queries, {{"q", 32}}) <= 1);
    for (const char *kernel : {"attention_forward", "attention_backward_dkdv",
                               "attention_backward_dq", "attention_backward"}) {
      CAPTURE(kernel);
      Spec made = of(kernel);
      made.mask = {"causal", "window"};
      made.score = {"softcap"};
      if (type != ElementType::F16) // whose range a random slope leaves
        made.score.push_back("alibi");
      CHECK(errorOf(made, "", lengths, {{"q", 32}, {"kv", 16}},
                    {{"scale", 0.2},
                     {"softcap.cap", 3.0},
                     {"window.left", int64_t{40}},
                     {"right", int64_t{-1}}}) <= 1);
    }
  }
}

TEST_CASE("what is wrong is seen, at one ragged end too") {
  auto text = [](const char *upper) {
    return std::string("kernel product<T: type, BM = 16, BN = 16, BK = 16>(a: view<T>[M, K], "
                       "b: view<T>[K, N], c: view<f32>[M, N]) over i in M step BM, j in N step BN {"
                       "  var acc = zeros<f32>[BM, BN]"
                       "  for k in 0 .. ") +
           upper +
           " step BK { acc += dot(a[i : BM, k : BK], b[k : BK, j : BN]) }"
           "  c[i : BM, j : BN] = acc }";
  };
  KernelExtents extents{{"M", 37}, {"N", 50}, {"K", 65}};
  for (ElementType type : {ElementType::F32, ElementType::BF16}) {
    Spec spec{.kernel = "product", .dtype = type};
    CHECK(errorOf(spec, text("K"), extents, {{"m", 32}}) <= 1);
    CHECK(errorOf(spec, text("K"), extents, {}, {}, text("K - 1")) > 1);
  }
}

TEST_CASE("extents and arguments that are missing, unknown, or of another type") {
  Spec spec{.groupSize = 2, .mask = {"window"}};
  BoundKernel kernel(spec, sourcesOf(""), {});
  auto refused = [](const std::function<void()> &call) -> std::string {
    try {
      call();
    } catch (const InputError &error) {
      return error.what();
    }
    return "";
  };
  auto extents = [&](const KernelExtents &given) {
    return refused([&] { (void)extentsOf(kernel, given); });
  };
  CHECK(extentsOf(kernel, {{"Nq", 5}, {"Nk", 6}}) ==
        KernelExtents{{"B", 1}, {"H", 8}, {"Hkv", 4}, {"Nk", 6}, {"Nq", 5}});
  CHECK(extents({{"Nq", 5}}) == "extent Nk: got nothing, allowed: a length for each of kernel "
                                "attention_forward's: --extent Nk=4096,Nq=5");
  CHECK(extents({{"Nq", 5}, {"Nk", 6}, {"H", 7}}) ==
        "extent H: got 7, allowed: a multiple of the spec's group_size, 2");
  CHECK(extents({{"Nq", 5}, {"Nk", 6}, {"H", 6}, {"Hkv", 2}}) ==
        "extent Hkv: got 2, allowed: 3, heads over the spec's group_size");
  CHECK(extents({{"Nq", 0}, {"Nk", 6}}).starts_with("extent Nq: got 0, allowed: 1 to "));
  CHECK(
      extents({{"Nq", 1}, {"Nk", 6}, {"X", 2}}).starts_with("extent X: got 2, allowed: those of"));
  auto scalars = [&](const Arguments &given) {
    return refused([&] { (void)scalarsOf(kernel, given); });
  };
  CHECK(scalars({}) == "argument window.left: got nothing, allowed: a value: --arg window.left=1");
  CHECK(scalars({{"left", 0.5}}) == "argument left: got a value of another type, allowed: i32");
  CHECK(scalars({{"nope", int64_t{1}}}) ==
        "argument nope: got an unknown name, allowed: scale, window.left, window.right");
  CHECK(scalars({{"q", int64_t{1}}}) ==
        "argument q: got a value, allowed: nothing: views are filled with random numbers");
  CHECK(scalarsOf(kernel, {{"left", int64_t{3}}, {"window.right", int64_t{-1}}}).size() == 2);
}

TEST_CASE("the compiler against the interpreter: places that integer views name") {
  constexpr const char *text = R"(
mask within(b: index, h: index, i: index, j: index, lengths: view<i32>[B]) { return j < lengths[b] }
kernel named<D, BQ = 16, BKV = 8, PAGE = 16, KEYS = 32, mask: predicate = within>(
    q: view<f32>[Nq, D], k: view<f32>[Hkv, R, D], table: view<i32>[B, C], lengths: view<i32>[B], ids: view<i32>[M],
    qpos: positions[Nq], kpos: positions[Nk], part: view<f32>[P, Nq, D], most: view<f32>[P, Nq], kept: view<f32>[Hkv, B, R, D], gathered: view<f32>[P, Nq, D])
  over rows in Nq step BQ, s in P step 1
{
  let qt = q[rows : BQ, :]
  var top = full<f32>[BQ, 1](-inf)
  var acc = zeros<f32>[BQ, D]
  for c in s * KEYS .. min(s * KEYS + KEYS, lengths) step BKV if seen = mask(qpos[rows : BQ], kpos[c : BKV]) {
    let at = table[c / PAGE else -1] * PAGE + c % PAGE
    let logits = where(seen, dot(qt, k[at : BKV, :]^T), 0.0)
    top = max(top, rowmax(logits))
    acc += dot(logits, k[at : BKV, :])
  }
  part[s, rows : BQ, :] = acc
  most[s, rows : BQ] = top
  kept[ids[s * BQ : BQ], :] += qt * 0.125
  gathered[s, rows : BQ, :] = k[ids[s * BQ : BQ], :] + f32(ids[s])
}
)";
  Spec spec{.kernel = "named", .headDim = 24, .groupSize = 2};
  KernelExtents extents{{"B", 2},   {"H", 4}, {"Hkv", 2}, {"Nq", 13}, {"Nk", 90},
                        {"R", 500}, {"C", 4}, {"M", 26},  {"P", 3}};
  CHECK(errorOf(spec, text, extents, {}) <= 1);
}
