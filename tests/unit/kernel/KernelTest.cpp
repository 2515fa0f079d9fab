// Kernels of a user's file, launched by name from C++, against plain loops in double precision.

#include "ringc/kernel/Kernel.h"
#include "ringc/jit/HostCompiler.h"
#include "ringc/tune/TuneTable.h"
#include "tests/unit/jit/TemporaryFolder.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <list>
#include <random>
#include <string>
#include <vector>

using namespace ringc;

namespace {

const AttentionContext &context() {
  static const AttentionContext shared = hostContext(2);
  return shared;
}

Kernel kernelOf(Spec spec, const std::string &text) {
  spec.source = "user.tile";
  return {context(), spec, {{"user.tile", text}}, ""};
}

std::mt19937 randomNumbers(7);

/// Memory for views with strides of any kind, full of random numbers.
class Memory {
public:
  /// Rows `pitch` elements apart; from the last on, where `falling`; all the same where 0.
  Tensor rows(int64_t count, int64_t columns, int64_t pitch, bool falling = false) {
    HostTensor &room = fresh(DType::F32, {std::max<int64_t>(1, (count - 1) * pitch + columns)});
    float *start = room.dataAs<float>() + (falling && count > 0 ? (count - 1) * pitch : 0);
    return {start, DType::F32, std::vector{count, columns},
            std::vector<int64_t>{falling ? -pitch : pitch, 1}};
  }
  Tensor column(int64_t count, int64_t step) {
    HostTensor &room = fresh(DType::F32, {std::max<int64_t>(1, count * step)});
    return {room.data(), DType::F32, std::vector{count}, std::vector{step}};
  }
  Tensor dense(std::initializer_list<int64_t> shape, DType dtype = DType::F32) {
    return fresh(dtype, std::vector<int64_t>(shape));
  }

private:
  HostTensor &fresh(DType dtype, const std::vector<int64_t> &shape) {
    HostTensor wide(DType::F32, shape);
    std::normal_distribution<float> normal;
    std::generate_n(wide.dataAs<float>(), wide.elementCount(),
                    [&] { return normal(randomNumbers); });
    HostTensor &made = all.emplace_back(dtype, shape);
    convert(wide, made);
    return made;
  }
  std::list<HostTensor> all;
};

double at(const Tensor &tensor, std::initializer_list<int64_t> index) {
  return *reinterpret_cast<const float *>(tensor.at(std::span(index.begin(), index.size())));
}

int64_t drawn(int64_t least, int64_t most) {
  return std::uniform_int_distribution<int64_t>(least, most)(randomNumbers);
}

constexpr const char *affineText = R"(
function damped(x: f32, width: f32) -> f32 { return x / (1 + abs(x / width)) }
kernel affine<BM = 8, BN = 16>(x: view<f32>[M, N], w: view<f32>[M], bias: view<f32>[1, N], y: view<f32>[M, N],
                               scale: f32, shift: i32, on: bool)
  over r in M step BM, c in N step BN
{
  let t = damped(x[r : BM, c : BN], 3.0) * scale + bias[0 : 1, c : BN]
  y[r : BM, c : BN] = where(on, t, 0.0) + w[r : BM] + f32(shift)
}
)";

double affine(double x, double w, double bias, double scale, double shift, bool on) {
  return (on ? x / (1 + std::abs(x / 3)) * scale + bias : 0) + w + shift;
}

double affineError(const Tensor &x, const Tensor &w, const Tensor &bias, const Tensor &y,
                   double scale, double shift, bool on) {
  double worst = 0;
  for (int64_t i = 0; i < x.dim(0); ++i)
    for (int64_t j = 0; j < x.dim(1); ++j)
      worst = std::max(worst, std::abs(at(y, {i, j}) - affine(at(x, {i, j}), at(w, {i}),
                                                              at(bias, {0, j}), scale, shift, on)));
  return worst;
}

} // namespace

TEST_CASE("two axes of a grid, any shapes and strides") {
  Kernel kernel = kernelOf({.kernel = "affine"}, affineText);
  for (int trial = 0; trial < 40; ++trial) {
    int64_t rows = drawn(0, 40), columns = drawn(0, 70);
    CAPTURE(rows);
    CAPTURE(columns);
    Memory memory;
    int64_t pitch = trial % 4 == 0 ? 0 : columns + drawn(0, 5);
    Tensor x = memory.rows(rows, columns, pitch, trial % 3 == 0),
           w = memory.column(rows, drawn(0, 3)), bias = memory.rows(1, columns, columns + 3),
           y = memory.rows(rows, columns, columns + drawn(0, 9) + 1, trial % 3 == 1);
    bool on = trial % 5 != 0;
    launch(kernel, {{"x", x}, {"w", w}, {"bias", bias}, {"y", y}},
           {{"scale", 0.5}, {"shift", -2}, {"on", on}}, *context().pool);
    CHECK(affineError(x, w, bias, y, 0.5, -2, on) < 1e-5);
  }
}

TEST_CASE("a bound kernel runs again with other memory and values") {
  Kernel kernel = kernelOf({.kernel = "affine"}, affineText);
  Memory memory;
  Tensor x = memory.dense({20, 33}), w = memory.dense({20}), bias = memory.dense({1, 33}),
         y = memory.dense({20, 33});
  KernelLaunch again = kernel.bind({{"x", x}, {"w", w}, {"bias", bias}, {"y", y}},
                                   {{"scale", 1}, {"shift", 0}, {"on", true}});
  again.run(*context().pool);
  CHECK(affineError(x, w, bias, y, 1, 0, true) < 1e-5);
  Tensor other = memory.rows(20, 33, 50), to = memory.rows(20, 33, 33, true);
  again.set("x", other);
  again.set("y", to);
  again.set("scale", 3.5);
  again.run(*context().pool);
  CHECK(affineError(other, w, bias, to, 3.5, 0, true) < 1e-5);
}

TEST_CASE("products of any type, with tile sizes by hand") {
  for (ElementType type : {ElementType::F32, ElementType::BF16, ElementType::F16}) {
    DType dtype = type == ElementType::F32   ? DType::F32
                  : type == ElementType::F16 ? DType::F16
                                             : DType::BF16;
    Kernel kernel(context(), {.kernel = "matmul", .dtype = type, .tile = {{"m", 16}, {"k", 32}}},
                  std::vector<SourceText>(), "");
    Memory memory;
    Tensor a = memory.dense({37, 50}, dtype), b = memory.dense({50, 61}, dtype),
           c = memory.dense({37, 61});
    launch(kernel, {{"a", a}, {"b", b}, {"c", c}}, {}, *context().pool);
    HostTensor wideA(DType::F32, a.shape()), wideB(DType::F32, b.shape());
    convert(a, wideA);
    convert(b, wideB);
    double worst = 0;
    for (int64_t i = 0; i < 37; ++i)
      for (int64_t j = 0; j < 61; ++j) {
        double sum = 0;
        for (int64_t k = 0; k < 50; ++k)
          sum += at(wideA, {i, k}) * at(wideB, {k, j});
        worst = std::max(worst, std::abs(at(c, {i, j}) - sum));
      }
    CHECK(worst < 1e-4);
  }
}

namespace {

/// Plain attention: out [b, n, h, d].
std::vector<double> attention(const Tensor &q, const Tensor &k, const Tensor &v, double scale,
                              bool tiled, int64_t firstQuery, auto &&sees) {
  std::vector<double> out;
  int64_t kvHeads = k.dim(2), group = kvHeads ? q.dim(2) / kvHeads : 1;
  for (int64_t b = 0; b < q.dim(0); ++b)
    for (int64_t i = 0; i < q.dim(1); ++i)
      for (int64_t h = 0; h < q.dim(2); ++h) {
        int64_t kv = tiled ? h % kvHeads : h / group;
        std::vector<double> sum(size_t(v.dim(3)));
        double all = 0;
        for (int64_t j = 0; j < k.dim(1); ++j) {
          if (!sees(h, i + firstQuery, j))
            continue;
          double s = 0;
          for (int64_t e = 0; e < q.dim(3); ++e)
            s += at(q, {b, i, h, e}) * at(k, {b, j, kv, e});
          double p = std::exp(s * scale);
          all += p;
          for (int64_t e = 0; e < v.dim(3); ++e)
            sum[size_t(e)] += p * at(v, {b, j, kv, e});
        }
        for (double of : sum)
          out.push_back(all == 0 ? 0 : of / all);
      }
  return out;
}

double distance(const Tensor &found, const std::vector<double> &right) {
  HostTensor dense = HostTensor::copyOf(found);
  double worst = 0;
  for (size_t i = 0; i < right.size(); ++i)
    worst = std::max(worst, std::abs(double(dense.dataAs<float>()[i]) - right[i]));
  return worst;
}

} // namespace

TEST_CASE("kernels that run per head: groups off the views, both maps, masks of a user's") {
  constexpr const char *text = R"(
mask reaching(b: index, h: index, i: index, j: index, reach: view<i32>[H]) {
  return j <= i and i - j < reach[h]
}
)";
  for (HeadMap map : {HeadMap::Blocked, HeadMap::Tiled})
    for (int64_t group : {1, 3})
      for (bool packed : {false, true}) {
        Kernel kernel(
            context(),
            {.headDim = 16, .valueHeadDim = 8, .headMap = map, .mask = {"user.tile:reaching"}},
            {{"user.tile", text}}, "");
        constexpr int64_t batch = 2, kvHeads = 2, queries = 19, keys = 30;
        int64_t heads = kvHeads * group;
        Memory memory;
        Tensor k = memory.dense({batch, keys, kvHeads, 16}),
               v = memory.dense({batch, keys, kvHeads, 8}),
               // of a tensor with twice as many heads
            q = memory.dense({batch, queries, 2 * heads, 16}).slice(2, packed ? 1 : 0, heads),
               out = memory.dense({batch, queries, heads, 8}),
               lse = memory.dense({batch, heads, queries}),
               rowMax = memory.dense({batch, heads, queries}),
               rowSum = memory.dense({batch, heads, queries});
        HostTensor reach(DType::I32, {heads});
        for (int64_t h = 0; h < heads; ++h)
          reach.dataAs<int32_t>()[h] = int32_t(3 + 4 * h);
        launch(
            kernel,
            {{"q", q},
             {"k", k},
             {"v", v},
             {"out", out},
             {"lse", lse},
             {"row_max", rowMax},
             {"row_sum", rowSum},
             {"reach", reach}},
            {{"scale", 0.25}, {"qpos", Positions{.first = keys - queries}}, {"kpos", Positions()}},
            *context().pool);
        auto sees = [&](int64_t h, int64_t i, int64_t j) { return j <= i && i - j < 3 + 4 * h; };
        CHECK(distance(out, attention(q, k, v, 0.25, map == HeadMap::Tiled, keys - queries, sees)) <
              1e-5);
      }
}

TEST_CASE("a running state stays with a bound kernel") {
  Kernel kernel(context(), {.headDim = 8}, std::vector<SourceText>(), "");
  Memory memory;
  Tensor q = memory.dense({1, 9, 2, 8}), k = memory.dense({1, 40, 2, 8}),
         v = memory.dense({1, 40, 2, 8}), out = memory.dense({1, 9, 2, 8}),
         rows = memory.dense({3, 1, 2, 9});
  auto half = [&](const Tensor &of, int64_t which) { return of.slice(1, 20 * which, 20); };
  KernelLaunch hops = kernel.bind({{"q", q},
                                   {"k", half(k, 0)},
                                   {"v", half(v, 0)},
                                   {"out", out},
                                   {"lse", rows.select(0, 0)},
                                   {"row_max", rows.select(0, 1)},
                                   {"row_sum", rows.select(0, 2)}},
                                  {{"scale", 0.5},
                                   {"qpos", Positions()},
                                   {"kpos", Positions()},
                                   {"state", CarryStep{.begins = true, .ends = false}}});
  hops.run(*context().pool);
  hops.set("k", half(k, 1));
  hops.set("v", half(v, 1));
  hops.set("kpos", Positions{.first = 20});
  hops.set("state", CarryStep{.begins = false, .ends = true});
  hops.run(*context().pool);
  auto all = [](int64_t, int64_t, int64_t) { return true; };
  CHECK(distance(out, attention(q, k, v, 0.5, false, 0, all)) < 1e-5);
}

TEST_CASE("a running state on a grid of two axes") {
  Kernel kernel = kernelOf({.kernel = "sum"}, R"(
kernel sum<BM = 8, BN = 16>(x: view<f32>[M, N], state: carry, y: view<f32>[M, N])
  over r in M step BM, c in N step BN
{
  var (acc) = resume state else (zeros<f32>[BM, BN])
  acc += x[r : BM, c : BN]
  finish state(acc) { y[r : BM, c : BN] = acc }
}
)");
  Memory memory;
  Tensor x = memory.dense({3, 30, 50}), y = memory.dense({30, 50});
  KernelLaunch sums = kernel.bind({{"x", x.select(0, 0)}, {"y", y}},
                                  {{"state", CarryStep{.begins = true, .ends = false}}});
  sums.run(*context().pool);
  sums.set("state", CarryStep{.begins = false, .ends = false});
  sums.set("x", x.select(0, 1));
  sums.run(*context().pool);
  sums.set("state", CarryStep{.begins = false, .ends = true});
  sums.set("x", x.select(0, 2));
  sums.run(*context().pool);
  double worst = 0;
  for (int64_t i = 0; i < 30; ++i)
    for (int64_t j = 0; j < 50; ++j)
      worst = std::max(
          worst, std::abs(at(y, {i, j}) - at(x, {0, i, j}) - at(x, {1, i, j}) - at(x, {2, i, j})));
  CHECK(worst < 1e-5);
}

TEST_CASE("numbers of queries and of keys") {
  Kernel kernel = kernelOf({.kernel = "logits", .headDim = 8}, R"(
kernel logits<D, BQ = 8, BKV = 16>(q: view<f32>[Nq, D], k: view<f32>[Nk, D], bias: view<f32>[Nk], s: view<f32>[Nq])
  over rows in Nq step BQ
{
  var sum = zeros<f32>[BQ, 1]
  for cols in 0 .. Nk step BKV {
    sum += rowsum(dot(q[rows : BQ, :], k[cols : BKV, :]^T) + bias[cols : BKV]^T)
  }
  s[rows : BQ] = sum
}
)");
  Memory memory;
  Tensor q = memory.dense({2, 11, 4, 8}), k = memory.dense({2, 21, 2, 8}),
         bias = memory.dense({2, 2, 21}), s = memory.dense({2, 4, 11});
  launch(kernel, {{"q", q}, {"k", k}, {"bias", bias}, {"s", s}}, {}, *context().pool);
  double worst = 0;
  for (int64_t b = 0; b < 2; ++b)
    for (int64_t i = 0; i < 11; ++i)
      for (int64_t h = 0; h < 4; ++h) {
        double right = 0;
        for (int64_t j = 0; j < 21; ++j) {
          right += at(bias, {b, h / 2, j});
          for (int64_t e = 0; e < 8; ++e)
            right += at(q, {b, i, h, e}) * at(k, {b, j, h / 2, e});
        }
        worst = std::max(worst, std::abs(at(s, {b, h, i}) - right));
      }
  CHECK(worst < 1e-4);
}

TEST_CASE("sums are rows of all heads of a group") {
  Kernel kernel(context(), {.kernel = "attention_backward_round", .headDim = 8, .groupSize = 2},
                std::vector<SourceText>(), "");
  Memory memory;
  Tensor sum = memory.dense({2, 3, 20, 8}), dq = memory.dense({2, 10, 6, 8});
  launch(kernel, {{"sum", sum}, {"dq", dq}}, {{"scale", 2}}, *context().pool);
  double worst = 0;
  for (int64_t b = 0; b < 2; ++b)
    for (int64_t i = 0; i < 10; ++i)
      for (int64_t h = 0; h < 6; ++h)
        for (int64_t e = 0; e < 8; ++e)
          worst = std::max(
              worst, std::abs(at(dq, {b, i, h, e}) - 2 * at(sum, {b, h / 2, i * 2 + h % 2, e})));
  CHECK(worst < 1e-6);
}

TEST_CASE("a launch has the tile sizes that were found for its extents") {
  testing::TemporaryFolder folder;
  std::string table = (folder.path() / "tune.json").string();
  std::vector<std::string> told;
  auto warn = [&](const std::string &message) { told.push_back(message); };
  auto compiler = std::make_shared<HostCompiler>(
      std::make_shared<KernelCache>(std::nullopt, warn),
      std::make_shared<TunedConfigs>(table, warn, compilerTiles, warn));
  Spec spec{.kernel = "matmul"};
  SourceSet sources = compilerSources({});
  spec.target = compilerHost().name;
  TuneTable::update(table, [&](TuneTable &entries) {
    TuneEntry entry;
    entry.key = tuneKeyOf(spec, sources, compilerHost(),
                          workOf("matmul", {{"M", 64}, {"N", 64}, {"K", 64}}));
    entry.config = compilerRequest(spec, sources, compilerHost(), std::nullopt).config;
    entry.config.tile["m"] = 16;
    entry.config.tile["n"] = 64;
    entry.config.tile["k"] = 32;
    entry.nanoseconds = entry.defaultNanoseconds = 1;
    entry.date = "2026-01-01";
    entries.put(entry);
  });
  Kernel kernel({.kernels = compiler, .pool = context().pool}, spec, std::vector<SourceText>());
  Memory memory;
  Tensor square = memory.dense({64, 64}), c = memory.dense({64, 64});
  launch(kernel, {{"a", square}, {"b", square}, {"c", c}}, {}, *context().pool);
  CHECK(std::ranges::any_of(told, [](const std::string &message) {
    return message.find("tune.json, entry") != message.npos && message.find("m=16") != message.npos;
  }));
}
