#include "tests/ring/semantics/Errors.h"

#include <doctest/doctest.h>

#include <cmath>

using namespace ringc;
using namespace ringc::test;

namespace {

const SequenceLayout layouts[] = {SequenceLayout::contiguous(), SequenceLayout::striped(),
                                  SequenceLayout::striped(3), SequenceLayout::zigzag()};

int64_t floorDivide(int64_t a, int64_t b) {
  return b == 0 ? 0 : a / b - ((a % b != 0 && (a < 0) != (b < 0)) ? 1 : 0);
}
int64_t floorModulo(int64_t a, int64_t b) { return b == 0 ? 0 : a - floorDivide(a, b) * b; }

UserFunction function(const char *name, const char *text) {
  return {.file = "mine.tile", .name = name, .text = text};
}

/// Of the design, as they stand.
constexpr const char *designText = R"(
mask dilated(b: index, h: index, i: index, j: index, step: i32, reach: view<i32>[H]) {
  return (i - j) % step == 0 and i - j < reach[h]
}
score bent(s: f32, b: index, h: index, i: index, j: index, c: f32) {
  let t = c * tanh(s / c)
  return i - j > 64 ? t - 0.5 : t
}
)";

HostTensor integers(std::initializer_list<int32_t> values, std::initializer_list<int64_t> shape) {
  HostTensor tensor(DType::I32, shape);
  std::copy(values.begin(), values.end(), tensor.dataAs<int32_t>());
  return tensor;
}

} // namespace

TEST_CASE("a user's mask with a scalar and a view: dilated") {
  HostTensor reach = integers({3, 40, 200, 1}, {4});
  for (const SequenceLayout &layout : layouts)
    for (int world : {1, 3})
      for (bool causal : {false, true})
        for (int64_t step : {1, 2, 7, -3, 0}) {
          Case given{.options = {.heads = 4,
                                 .kvHeads = 2,
                                 .headDim = 16,
                                 .causal = causal,
                                 .masks = {function("dilated", designText)},
                                 .layout = layout},
                     .world = world,
                     .shape = {2, 71, 71},
                     .arguments = {{"dilated.step", step}, {"reach", reach.view()}}};
          given.predicate = [=, &reach](int, int h, int64_t i, int64_t j) {
            return floorModulo(i - j, step) == 0 && i - j < reach.dataAs<int32_t>()[h];
          };
          checkCase(given);
        }
}

TEST_CASE("a user's score, its derivative derived: bent, with a softcap before it") {
  for (const SequenceLayout &layout : layouts)
    for (int world : {1, 4})
      for (double c : {1.0, 20.0})
        for (bool capped : {false, true}) {
          Case given{.options = {.heads = 2,
                                 .headDim = 16,
                                 .causal = true,
                                 .scores = {function("bent", designText)},
                                 .layout = layout},
                     .world = world,
                     .shape = {1, 131, 131},
                     .arguments = {{"c", c}}};
          if (capped)
            given.options.softcap = 2.0;
          given.score = [=](double s, int, int, int64_t i, int64_t j) {
            double t = c * std::tanh(s / c);
            return i - j > 64 ? t - 0.5 : t;
          };
          checkCase(given);
        }
}

TEST_CASE("a user's mask and score of one file, with the library's") {
  HostTensor reach = integers({30, 100}, {2});
  for (int world : {1, 4})
    for (DType dtype : {DType::F32, DType::BF16}) {
      Case given{.options = {.heads = 2,
                             .headDim = 32,
                             .dtype = dtype,
                             .causal = true,
                             .window = {50, -1},
                             .alibi = true,
                             .masks = {function("dilated", designText)},
                             .scores = {function("bent", designText)},
                             .layout = SequenceLayout::zigzag()},
                 .world = world,
                 .shape = {1, 90, 90},
                 .arguments = {{"step", int64_t(3)}, {"reach", reach.view()}, {"bent.c", 5.0}}};
      given.predicate = [&](int, int h, int64_t i, int64_t j) {
        return floorModulo(i - j, 3) == 0 && i - j < reach.dataAs<int32_t>()[h];
      };
      given.score = [](double s, int, int, int64_t i, int64_t j) {
        double t = 5 * std::tanh(s / 5);
        return i - j > 64 ? t - 0.5 : t;
      };
      checkCase(given);
    }
}

TEST_CASE("data of keys travels, data of queries stays: tables by Nq, Nk, both, B and H") {
  constexpr const char *text = R"(
mask pairs(b: index, h: index, i: index, j: index, mine: view<i32>[B, Nq], its: view<i32>[Hkv, Nk]) {
  return (mine[b, i] + its[h / 2, j]) % 3 != 0
}
score tables(s: f32, b: index, h: index, i: index, j: index, row: view<f32>[H, Nq], key: view<f32>[B, Nk],
             cell: view<f32>[Nq, Nk], gain: view<f32>[3]) {
  return s * gain[(i + j) % 3] + row[h, i] * key[b, j] + cell[i, j]
}
)";
  constexpr int64_t n = 67;
  for (const SequenceLayout &layout : layouts)
    for (int world : {1, 3, 4})
      for (int64_t queries : {n, int64_t(40)}) {
        // Any normal numbers will do, with strides of a larger tensor.
        Case random{.options = {.heads = 4, .headDim = n}, .shape = {2, n, n}};
        Data data = finiteData(random, freshSeed());
        HostTensor mine(DType::I32, {2, queries}), its(DType::I32, {2, n});
        for (int64_t at = 0; at < its.elementCount(); ++at)
          its.dataAs<int32_t>()[at] = int32_t(data.k.dataAs<float>()[at] * 9);
        for (int64_t at = 0; at < mine.elementCount(); ++at)
          mine.dataAs<int32_t>()[at] = int32_t(data.q.dataAs<float>()[at] * 9);
        Tensor row = data.q.view().select(0, 0).select(0, 0).slice(1, 0, queries);  // [4, n_q]
        Tensor key = data.k.view().select(1, 0).select(1, 0);                       // [2, n]
        Tensor cell = data.v.view().select(0, 0).select(1, 0).slice(0, 0, queries); // [n_q, n]
        Tensor gain = data.dout.view().select(0, 0).select(0, 0).select(0, 0).slice(0, 0, 3);
        auto at = [](const Tensor &tensor, std::initializer_list<int64_t> index) {
          return double(
              *reinterpret_cast<float *>(tensor.at(std::span(index.begin(), index.size()))));
        };
        Case given{.options = {.heads = 4,
                               .kvHeads = 2,
                               .headDim = 16,
                               .causal = true,
                               .masks = {function("pairs", text)},
                               .scores = {function("tables", text)},
                               .layout = layout},
                   .world = world,
                   .shape = {2, queries, n},
                   .arguments = {{"mine", mine.view()},
                                 {"its", its.view()},
                                 {"row", row},
                                 {"key", key},
                                 {"cell", cell},
                                 {"gain", gain}}};
        int64_t offset = n - queries; // of a query's position from its row
        given.predicate = [&](int b, int h, int64_t i, int64_t j) {
          return floorModulo(mine.dataAs<int32_t>()[b * queries + i - offset] +
                                 its.dataAs<int32_t>()[h / 2 * n + j],
                             3) != 0;
        };
        given.score = [&](double s, int b, int h, int64_t i, int64_t j) {
          return s * at(gain, {floorModulo(i + j, 3)}) +
                 at(row, {h, i - offset}) * at(key, {b, j}) + at(cell, {i - offset, j});
        };
        given.scoreDerivative = [&](double, int, int, int64_t i, int64_t j) {
          return at(gain, {floorModulo(i + j, 3)});
        };
        checkCase(given);
      }
}

TEST_CASE("integer / and % round down, by zero they are zero, and nothing crashes") {
  constexpr const char *text = R"(
mask blocks(b: index, h: index, i: index, j: index, size: i32, phase: i32) {
  return (i - 40) / size >= (j - 40) / size and (i - j) % size != phase
}
score stepped(s: f32, b: index, h: index, i: index, j: index, size: i32, width: f32) {
  return s - f32((i - j) / size) * width
}
)";
  for (int64_t size : {0, 1, 5, -4, -1, 64})
    for (int world : {1, 3}) {
      Case given{.options = {.heads = 2,
                             .headDim = 16,
                             .masks = {function("blocks", text)},
                             .scores = {function("stepped", text)},
                             .layout = SequenceLayout::zigzag()},
                 .world = world,
                 .shape = {1, 83, 83},
                 .arguments = {{"blocks.size", size},
                               {"blocks.phase", int64_t(2)},
                               {"stepped.size", size},
                               {"width", 0.05}}};
      given.predicate = [=](int, int, int64_t i, int64_t j) {
        return floorDivide(i - 40, size) >= floorDivide(j - 40, size) &&
               floorModulo(i - j, size) != 2;
      };
      given.score = [=](double s, int, int, int64_t i, int64_t j) {
        return s - double(floorDivide(i - j, size)) * 0.05;
      };
      checkCase(given);
    }
}

TEST_CASE("a mask whose tiles differ in what 16 queries and what 16 keys see from first to last") {
  // Of a tile of 64 x 64: queries 16 to 47 see keys on both sides of 16 to 31, keys that only
  // queries 0 to 15 see.
  constexpr const char *text = R"(
mask hull(b: index, h: index, i: index, j: index) {
  return (j <= i - 17 and j < 16) or (j >= i + 17 and j < 64) or j + 64 <= i
}
)";
  for (int world : {1, 2})
    for (BackwardForm form : {BackwardForm::Split, BackwardForm::Fused}) {
      Case given{.options = {.heads = 2,
                             .kvHeads = 2,
                             .headDim = 16,
                             .masks = {function("hull", text)},
                             .backward = form,
                             .tile = {{"q", 64}, {"kv", 64}}},
                 .world = world,
                 .shape = {1, 250, 250}};
      given.predicate = [](int, int, int64_t i, int64_t j) {
        return (j <= i - 17 && j < 16) || (j >= i + 17 && j < 64) || j + 64 <= i;
      };
      checkCase(given);
    }
}

TEST_CASE("the least integers do not trap: -2^31 / -1 and % -1") {
  constexpr const char *text = R"(
mask odd(b: index, h: index, i: index, j: index, least: i32, by: i32) {
  return (least + i - j) / by != 7 or (least + i) % by == 0
}
)";
  for (int64_t by : {-1, 0, 1}) {
    Case given{.options = {.headDim = 16, .masks = {function("odd", text)}},
               .world = 2,
               .shape = {1, 40, 40},
               .arguments = {{"least", int64_t(INT32_MIN)}, {"by", by}}};
    given.predicate = [](int, int, int64_t, int64_t) { return true; };
    checkCase(given);
  }
}

TEST_CASE("a derivative that the user gives, and one that is derived, agree with the reference") {
  constexpr const char *text = R"(
function smooth(x: f32, width: f32) -> f32 { return x / (1 + abs(x / width)) }
score derived(s: f32, b: index, h: index, i: index, j: index, width: f32) { return smooth(s, width) }
score given(s: f32, b: index, h: index, i: index, j: index, width: f32) { return smooth(s, width) }
derivative given(s: f32, b: index, h: index, i: index, j: index, width: f32) {
  let r = 1 + abs(s / width)
  return 1 / (r * r)
}
score many(s: f32, b: index, h: index, i: index, j: index, width: f32) {
  let e = exp2(min(s, width))
  let r = sqrt(e + 1) - log2(e + 2) + max(s, 0.25 * s + 0.1) * 0.5
  return where(s > 0.5, r, tanh(r) + s * s * 0.01)
}
)";
  static constexpr double width = 1.4;
  auto smooth = [](double s, int, int, int64_t, int64_t) { return s / (1 + std::abs(s / width)); };
  auto many = [](double s, int, int, int64_t, int64_t) {
    double e = std::exp2(std::min(s, width));
    double r = std::sqrt(e + 1) - std::log2(e + 2) + std::max(s, 0.25 * s + 0.1) * 0.5;
    return s > 0.5 ? r : std::tanh(r) + s * s * 0.01;
  };
  for (const char *name : {"derived", "given", "many"})
    for (int world : {1, 3}) {
      Case given{.options = {.heads = 2,
                             .headDim = 16,
                             .scale = 0.3,
                             .causal = true,
                             .scores = {function(name, text)},
                             .layout = SequenceLayout::striped()},
                 .world = world,
                 .shape = {1, 75, 75},
                 .arguments = {{"width", width}}};
      given.score = std::string(name) == "many" ? reference::ScoreFunction(many)
                                                : reference::ScoreFunction(smooth);
      // Logits are multiples of 0.3: none is near 0.5, 0.133 or 1.4, where "many" has kinks.
      uint64_t seed = freshSeed();
      INFO("RINGC_TEST_SEED=", seed);
      Data data = randomData(given, seed);
      for (const HostTensor *each : {&data.q, &data.k})
        for (int64_t at = 0; at < each->elementCount(); ++at)
          each->dataAs<float>()[at] = std::round(each->dataAs<float>()[at]);
      checkCase(given, data);
    }
}
