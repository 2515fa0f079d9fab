// What the language can say beyond the library's kernels.

#include "tests/unit/compiler/KernelRun.h"

#include <doctest/doctest.h>

#include <cmath>

using namespace ringc;
using namespace ringc::testing;

namespace {

struct Shape {
  int64_t rows, columns;
};

/// Tile shapes of every sort: less than a vector, odd, single rows and columns.
constexpr Shape tileShapes[] = {{33, 65}, {1, 1}, {5, 128}, {128, 5}, {64, 1}, {1, 64}, {16, 16}};

Spec specOf(const std::string &kernel, Shape tile) {
  return {.kernel = kernel, .tile = {{"m", tile.rows}, {"n", tile.columns}}};
}

/// Runs `test` for every kind of host and every tile shape.
void everywhere(const std::function<void(const Target &, Shape)> &test) {
  for (const Target &target : hostVariants())
    for (Shape tile : tileShapes) {
      CAPTURE(describe(target));
      CAPTURE(tile.rows);
      CAPTURE(tile.columns);
      test(target, tile);
    }
}

constexpr int64_t rows = 130, columns = 131;

} // namespace

TEST_CASE("rounded once, chosen by a scalar, by a shortcut") {
  constexpr const char *text = R"(
function rest(x: f32, y: f32) -> f32 { return fma(x, y, -(x * y)) }
kernel chosen<BM = 8, BN = 8>(x: view<f32>[M, N], flag: bool, y: view<f32>[M, N], z: view<f32>[M, N], w: view<f32>[M, N])
  over r in M step BM
{
  let t = x[r : BM, 0 : BN]
  y[r : BM, 0 : BN] = rest(t, t + 0.1)
  z[r : BM, 0 : BN] = where(flag, t, 0.5)
  let rows = rowmax(t) > 0.5
  w[r : BM, 0 : BN] = shortcut(rows, t * 2.0, t + t)
}
)";
  everywhere([&](const Target &target, Shape tile) {
    for (bool flag : {false, true}) {
      KernelRun run(specOf("chosen", tile), text, target);
      Matrix x = Matrix::random(ElementType::F32, tile.rows, tile.columns, 3);
      Matrix y(ElementType::F32, tile.rows, tile.columns),
          z(ElementType::F32, tile.rows, tile.columns),
          w(ElementType::F32, tile.rows, tile.columns);
      run.bind("x", x).bind("y", y).bind("z", z).bind("w", w).bind("flag", int32_t{flag}).run();
      CHECK(largestError(y, [&](int64_t i, int64_t j) {
              auto a = float(x.at(i, j)), b = a + 0.1f;
              return double(std::fma(a, b, -(a * b)));
            }) == 0);
      CHECK(largestError(z, [&](int64_t i, int64_t j) { return flag ? x.at(i, j) : 0.5; }) == 0);
      CHECK(largestError(w, [&](int64_t i, int64_t j) { return 2 * x.at(i, j); }) == 0);
    }
  });
}

TEST_CASE("what nobody reads disturbs nobody") {
  constexpr const char *text = R"(
kernel unread<BM = 8, BN = 8>(x: view<f32>[M, N], y: view<f32>[M, N], z: view<f32>[M, N])
  over r in M step BM
{
  let t = x[r : BM, 0 : BN]
  y[r : BM, 0 : BN] = t + 1.0
  let largest = rowmax(t)
  let above = largest + 1.0
  z[r : BM, 0 : BN] = t + t
}
)";
  everywhere([&](const Target &target, Shape tile) {
    KernelRun run(specOf("unread", tile), text, target);
    Matrix x = Matrix::random(ElementType::F32, tile.rows, tile.columns, 3);
    Matrix y(ElementType::F32, tile.rows, tile.columns),
        z(ElementType::F32, tile.rows, tile.columns);
    run.bind("x", x).bind("y", y).bind("z", z).run();
    CHECK(largestError(z, [&](int64_t i, int64_t j) { return 2 * x.at(i, j); }) == 0);
  });
}

TEST_CASE("reductions along both axes") {
  constexpr const char *text = R"(
kernel reductions<BM = 8, BN = 8>(x: view<f32>[M, N], rs: view<f32>[M], rm: view<f32>[M], cs: view<f32>[1, N], cm: view<f32>[1, N], all: view<f32>[1, 1])
  over r in 1 step BM
{
  let t = x[r : BM, 0 : BN]
  rs[r : BM] = rowsum(t)
  rm[r : BM] = rowmax(t)
  cs[0 : 1, 0 : BN] = colsum(t)
  cm[0 : 1, 0 : BN] = colmax(t * 2.0)
  all[0 : 1, 0 : 1] = rowsum(colsum(t)) + colsum(rowsum(t))
}
)";
  everywhere([&](const Target &target, Shape tile) {
    KernelRun run(specOf("reductions", tile), text, target);
    Matrix x = Matrix::random(ElementType::F32, tile.rows, tile.columns, 3);
    Matrix rs(ElementType::F32, tile.rows, 1), rm(ElementType::F32, tile.rows, 1);
    Matrix cs(ElementType::F32, 1, tile.columns), cm(ElementType::F32, 1, tile.columns);
    Matrix all(ElementType::F32, 1, 1);
    run.bind("x", x).bind("rs", rs).bind("rm", rm).bind("cs", cs).bind("cm", cm).bind("all", all);
    run.run();
    auto fold = [](int64_t count, double start, auto combine) {
      for (int64_t i = 0; i < count; ++i)
        start = combine(start, i);
      return start;
    };
    auto sumOfRow = [&](int64_t r, int64_t) {
      return fold(tile.columns, 0, [&](double s, int64_t c) { return s + x.at(r, c); });
    };
    CHECK(largestError(rs, sumOfRow) < 2e-6);
    CHECK(largestError(rm, [&](int64_t r, int64_t) {
            return fold(tile.columns, -INFINITY,
                        [&](double s, int64_t c) { return std::max(s, x.at(r, c)); });
          }) == 0);
    CHECK(largestError(cs, [&](int64_t, int64_t c) {
            return fold(tile.rows, 0, [&](double s, int64_t r) { return s + x.at(r, c); });
          }) < 2e-6);
    CHECK(largestError(cm, [&](int64_t, int64_t c) {
            return fold(tile.rows, -INFINITY,
                        [&](double s, int64_t r) { return std::max(s, 2 * x.at(r, c)); });
          }) == 0);
    CHECK(largestError(all, [&](int64_t, int64_t) {
            return 2 * fold(tile.rows, 0, [&](double s, int64_t r) { return s + sumOfRow(r, 0); });
          }) < 1e-5);
  });
}

TEST_CASE("transposes: loaded, computed, stored, added to what is not transposed") {
  constexpr const char *text = R"(
kernel transposes<BM = 8, BN = 8>(x: view<f32>[M, N], z: view<f32>[N, M], copy: view<f32>[N, M], sum: view<f32>[M, N], computed: view<f32>[N, M], line: view<f32>[1, M], twice: view<f32>[M, N])
  over r in M step BM, c in N step BN
{
  let t = x[r : BM, c : BN]
  copy[c : BN, r : BM] = t^T
  sum[r : BM, c : BN] = t * 3.0 + z[c : BN, r : BM]^T
  computed[c : BN, r : BM] = (t + 1.0)^T * 2.0
  line[0 : 1, r : BM] = rowmax(x[r : BM, 0 : BN])^T
  twice[r : BM, c : BN] = (t^T)^T + ((t + 1.0)^T)^T
}
)";
  everywhere([&](const Target &target, Shape tile) {
    KernelRun run(specOf("transposes", tile), text, target);
    Matrix x = Matrix::random(ElementType::F32, rows, columns, 3);
    Matrix z = Matrix::random(ElementType::F32, columns, rows, 4);
    Matrix copy(ElementType::F32, columns, rows), computed(ElementType::F32, columns, rows);
    Matrix sum(ElementType::F32, rows, columns), line(ElementType::F32, 1, rows);
    Matrix twice(ElementType::F32, rows, columns);
    run.bind("x", x).bind("z", z).bind("copy", copy).bind("sum", sum);
    run.bind("computed", computed).bind("line", line).bind("twice", twice).run();
    CHECK(largestError(twice, [&](int64_t r, int64_t c) { return 2 * x.at(r, c) + 1; }) < 1e-6);
    CHECK(largestError(copy, [&](int64_t r, int64_t c) { return x.at(c, r); }) == 0);
    CHECK(largestError(sum, [&](int64_t r, int64_t c) { return 3 * x.at(r, c) + z.at(c, r); }) <
          1e-6);
    CHECK(largestError(computed, [&](int64_t r, int64_t c) { return 2 * (x.at(c, r) + 1); }) <
          1e-6);
    CHECK(largestError(line, [&](int64_t, int64_t r) {
            double top = -INFINITY;
            for (int64_t c = 0; c < std::min(tile.columns, columns); ++c)
              top = std::max(top, x.at(r, c));
            return top;
          }) == 0);
    CHECK(copy.gapsAreUntouched());
    CHECK(sum.gapsAreUntouched());
  });
}

TEST_CASE("bool and i32 tiles, comparisons, where") {
  constexpr const char *text = R"(
kernel chosen<BM = 8, BN = 8>(x: view<f32>[M, N], keep: view<bool>[M, N], number: view<i32>[M, N], y: view<f32>[M, N], flags: view<bool>[M, N], numbers: view<i32>[M, N], negative: bool, least: i32)
  over r in M step BM, c in N step BN
{
  let t = x[r : BM, c : BN]
  let k = keep[r : BM, c : BN]
  y[r : BM, c : BN] = where(k and not (t < f32(least)), t, negative ? -1.0 : 1.0)
  flags[r : BM, c : BN] = (k or t > 0.5) and t * t != t
  numbers[r : BM, c : BN] = number[r : BM, c : BN]
}
)";
  everywhere([&](const Target &target, Shape tile) {
    KernelRun run(specOf("chosen", tile), text, target);
    Matrix x = Matrix::random(ElementType::F32, rows, columns, 3);
    Matrix keep = Matrix::from(ElementType::Bool, rows, columns,
                               [](int64_t r, int64_t c) { return (r * 7 + c * 3) % 5 < 2; });
    Matrix number = Matrix::from(ElementType::I32, rows, columns, [](int64_t r, int64_t c) {
      return double(1000000007 - r * 1000 - c);
    });
    Matrix y(ElementType::F32, rows, columns), flags(ElementType::Bool, rows, columns),
        numbers(ElementType::I32, rows, columns);
    run.bind("x", x).bind("keep", keep).bind("number", number).bind("y", y);
    run.bind("flags", flags).bind("numbers", numbers).bind("negative", int32_t(1));
    run.bind("least", int32_t(-1)).run();
    CHECK(largestError(y, [&](int64_t r, int64_t c) {
            return keep.at(r, c) && x.at(r, c) >= -1 ? x.at(r, c) : -1;
          }) == 0);
    CHECK(largestError(flags, [&](int64_t r, int64_t c) -> double {
            return keep.at(r, c) || x.at(r, c) > 0.5;
          }) == 0);
    CHECK(largestError(numbers, [&](int64_t r, int64_t c) { return number.at(r, c); }) == 0);
    CHECK(flags.gapsAreUntouched());
  });
}

TEST_CASE("loops carry tiles, also where they change places, and may run no time at all") {
  constexpr const char *text = R"(
kernel loops<BM = 8, BN = 8>(x: view<f32>[M, N], y: view<f32>[M, N], z: view<f32>[M, N], times: i32)
  over r in M step BM, c in N step BN
{
  var a = x[r : BM, c : BN]
  var b = full<f32>[BM, BN](1.0)
  var kept = zeros<f32>[BM, BN]
  for i in 0 .. times step 1 {
    let old = a
    a = b
    b = old + b * 0.5
    for j in 0 .. i step 1 {
      kept += old * f32(j)
    }
  }
  y[r : BM, c : BN] = a - b
  z[r : BM, c : BN] += kept
}
)";
  everywhere([&](const Target &target, Shape tile) {
    KernelRun run(specOf("loops", tile), text, target);
    for (int32_t times : {0, 1, 4}) {
      CAPTURE(times);
      Matrix x = Matrix::random(ElementType::F32, rows, columns, 3);
      Matrix y(ElementType::F32, rows, columns);
      Matrix z = Matrix::from(ElementType::F32, rows, columns, [](int64_t, int64_t) { return 5; });
      run.bind("x", x).bind("y", y).bind("z", z).bind("times", times).run();
      auto state = [&](int64_t r, int64_t c) {
        double a = x.at(r, c), b = 1, kept = 0;
        for (int32_t i = 0; i < times; ++i) {
          double old = a;
          a = b;
          b = old + b * 0.5;
          kept += old * (i * (i - 1) / 2);
        }
        return std::pair(a - b, kept + 5);
      };
      CHECK(largestError(y, [&](int64_t r, int64_t c) { return state(r, c).first; }) < 1e-6);
      CHECK(largestError(z, [&](int64_t r, int64_t c) { return state(r, c).second; }) < 1e-6);
    }
  });
}

TEST_CASE("windows may begin before a view and end after it") {
  constexpr const char *text = R"(
kernel shifted<BM = 8, BN = 8>(x: view<f32>[M, N], y: view<f32>[M, N], w: view<f32>[M], v: view<f32>[M], dr: i32, dc: i32)
  over r in M step BM, c in N step BN
{
  y[r : BM, c : BN] = x[r + dr : BM, c + dc : BN else -7.0]
  v[r : BM] = w[r + dr : BM else 9.0]
}
)";
  everywhere([&](const Target &target, Shape tile) {
    KernelRun run(specOf("shifted", tile), text, target);
    Matrix x = Matrix::random(ElementType::F32, rows, columns, 3);
    Matrix w = Matrix::random(ElementType::F32, rows, 1, 4);
    for (int32_t dr : {-300, -3, 0, 2, 300})
      for (int32_t dc : {-300, -1, 5, 300}) {
        CAPTURE(dr);
        CAPTURE(dc);
        Matrix y(ElementType::F32, rows, columns), v(ElementType::F32, rows, 1);
        run.bind("x", x).bind("y", y).bind("w", w).bind("v", v).bind("dr", dr).bind("dc", dc).run();
        auto inside = [](int64_t at, int64_t extent) { return at >= 0 && at < extent; };
        CHECK(largestError(y, [&](int64_t r, int64_t c) {
                return inside(r + dr, rows) && inside(c + dc, columns) ? x.at(r + dr, c + dc) : -7;
              }) == 0);
        CHECK(largestError(v, [&](int64_t r, int64_t) {
                return inside(r + dr, rows) ? w.at(r + dr) : 9;
              }) == 0);
      }
  });
}

TEST_CASE("what a store's window has outside the view is not written") {
  constexpr const char *text = R"(
kernel scattered<BM = 8, BN = 8>(x: view<f32>[M, N], y: view<f32>[M, N], dr: i32, dc: i32)
  over r in M step BM, c in N step BN
{
  y[r + dr : BM, c + dc : BN] = x[r : BM, c : BN]
}
)";
  everywhere([&](const Target &target, Shape tile) {
    KernelRun run(specOf("scattered", tile), text, target);
    Matrix x = Matrix::random(ElementType::F32, rows, columns, 3);
    for (int32_t dr : {-300, -3, 0, 2, 300})
      for (int32_t dc : {-300, -1, 5, 300}) {
        CAPTURE(dr);
        CAPTURE(dc);
        Matrix y(ElementType::F32, rows, columns);
        run.bind("x", x).bind("y", y).bind("dr", dr).bind("dc", dc).run();
        CHECK(largestError(y, [&](int64_t r, int64_t c) {
                bool inside = r - dr >= 0 && r - dr < rows && c - dc >= 0 && c - dc < columns;
                // The last tile of a row reaches beyond x and writes 0.
                bool beyond = r - dr >= rows && c - dc >= 0;
                beyond |= c - dc >= columns && r - dr >= 0;
                int64_t lastRow = (rows + tile.rows - 1) / tile.rows * tile.rows;
                int64_t lastColumn = (columns + tile.columns - 1) / tile.columns * tile.columns;
                beyond &= r - dr < lastRow && c - dc < lastColumn;
                return inside ? x.at(r - dr, c - dc) : beyond ? 0 : NAN;
              }) == 0);
        CHECK(y.gapsAreUntouched());
      }
  });
}

TEST_CASE("16-bit tiles: kept, cast, reduced, multiplied") {
  constexpr const char *text = R"(
kernel halves<T: type, BM = 8, BN = 8>(x: view<T>[M, N], y: view<T>[M, N], gram: view<f32>[M, M], s: view<f32>[M])
  over r in M step BM
{
  let t = x[r : BM, 0 : BN]
  y[r : BM, 0 : BN] = t
  let half = cast<T>(cast<f32>(t) * 0.5)
  gram[r : BM, 0 : BM] = dot(half, x[0 : BM, 0 : BN]^T)
  s[r : BM] = rowsum(cast<f32>(half))
}
)";
  for (ElementType type : {ElementType::BF16, ElementType::F16})
    everywhere([&](const Target &target, Shape tile) {
      Spec spec = specOf("halves", tile);
      spec.dtype = type;
      KernelRun run(spec, text, target);
      Matrix x = Matrix::random(type, tile.rows, tile.columns, 3), y(type, tile.rows, tile.columns);
      Matrix gram(ElementType::F32, tile.rows, tile.rows), s(ElementType::F32, tile.rows, 1);
      run.bind("x", x).bind("y", y).bind("gram", gram).bind("s", s).run();
      CHECK(largestError(y, [&](int64_t r, int64_t c) { return x.at(r, c); }) == 0);
      auto sum = [&](auto term) {
        double total = 0;
        for (int64_t c = 0; c < tile.columns; ++c)
          total += term(c);
        return total;
      };
      CHECK(largestError(s, [&](int64_t r, int64_t) {
              return sum([&](int64_t c) { return x.at(r, c) / 2; });
            }) < 2e-6);
      CHECK(largestError(gram, [&](int64_t r, int64_t i) {
              return sum([&](int64_t c) { return x.at(r, c) / 2 * x.at(i, c); });
            }) < 5e-6);
    });
}

TEST_CASE("running state is kept from launch to launch, for every program of the grid its own") {
  constexpr const char *text = R"(
kernel running<BM = 8, BN = 8>(x: view<f32>[M, N], state: carry, y: view<f32>[M, N], top: view<f32>[M, N])
  over r in M step BM, c in N step BN
{
  var (sum, most) = resume state else (zeros<f32>[BM, BN], full<f32>[BM, 1](-inf))
  let t = x[r : BM, c : BN else -inf]
  sum += t
  most = max(most, rowmax(t))
  finish state(sum, most) {
    y[r : BM, c : BN] = sum
    top[r : BM, c : BN] = sum * 0.0 + most
  }
}
)";
  everywhere([&](const Target &target, Shape tile) {
    KernelRun run(specOf("running", tile), text, target);
    Matrix y(ElementType::F32, rows, columns), top(ElementType::F32, rows, columns);
    std::vector<Matrix> x;
    run.bind("y", y).bind("top", top);
    for (unsigned launch = 0; launch < 3; ++launch) {
      x.push_back(Matrix::random(ElementType::F32, rows, columns, launch));
      run.bind("x", x.back()).bindCarry("state", launch == 0, launch == 2).run();
    }
    CHECK(largestError(y, [&](int64_t r, int64_t c) {
            return x[0].at(r, c) + x[1].at(r, c) + x[2].at(r, c);
          }) < 1e-6);
    CHECK(largestError(top, [&](int64_t r, int64_t c) {
            double most = -INFINITY;
            int64_t first = c / tile.columns * tile.columns;
            for (int64_t i = first; i < std::min(first + tile.columns, columns); ++i)
              for (const Matrix &m : x)
                most = std::max(most, m.at(r, i));
            return most;
          }) == 0);
  });
}

TEST_CASE(
    "the kernel of LANGUAGE.md: what each key receives from the queries of a group, causally") {
  constexpr const char *text = R"(
// Attention weights summed over the queries: what each key receives, under any mask.
kernel received<D, T: type, BQ = 64, BKV = 64, mask: predicate = all>(
    q: view<T>[Nq, D], k: view<T>[Nk, D], lse: view<f32>[Nq], qpos: positions[Nq], kpos: positions[Nk],
    scale: f32, weight: view<f32>[Nk])
  over keys in Nk step BKV
{
  let kt = k[keys : BKV, :]
  var sum = zeros<f32>[1, BKV]
  for rows in 0 .. Nq step BQ if seen = mask(qpos[rows : BQ], kpos[keys : BKV]) {
    let s = dot(q[rows : BQ, :], kt^T) * scale
    sum += colsum(where(seen, exp2((s - lse[rows : BQ]) * LOG2E), 0.0))
  }
  weight[keys : BKV] += sum^T
}
)";
  constexpr int64_t nq = 50, nk = 70, d = 24, group = 2;
  constexpr float scale = 0.25f;
  for (const Target &target : hostVariants())
    for (ElementType type : {ElementType::F32, ElementType::BF16}) {
      CAPTURE(describe(target));
      CAPTURE(enumName(type));
      Matrix q = Matrix::random(type, nq, d * group, 1), k = Matrix::random(type, nk, d, 2);
      auto score = [&](int64_t i, int64_t h, int64_t j) {
        double s = 0;
        for (int64_t c = 0; c < d; ++c)
          s += q.at(i, h * d + c) * k.at(j, c);
        return s * scale;
      };
      auto sees = [&](int64_t i, int64_t j) { return j <= i + nk - nq; };
      Matrix lse = Matrix::from(ElementType::F32, nq, group, [&](int64_t i, int64_t h) {
        double sum = 0;
        for (int64_t j = 0; j < nk && sees(i, j); ++j)
          sum += std::exp(score(i, h, j));
        return std::log(sum);
      });
      Matrix weight = Matrix::from(ElementType::F32, nk, 1, [](int64_t, int64_t) { return 1; });
      KernelRun run({.kernel = "received",
                     .headDim = d,
                     .groupSize = group,
                     .dtype = type,
                     .mask = {"causal"},
                     .tile = {{"q", 33}, {"kv", 40}}},
                    text, target);
      run.bind("q", q).bind("k", k).bind("lse", lse).bind("weight", weight).bind("scale", scale);
      run.bind("qpos", Positions{.first = nk - nq, .block = nq, .jump = 0});
      run.bind("kpos", Positions{.first = 0, .block = nk, .jump = 0}).run();
      CHECK(largestError(weight, [&](int64_t j, int64_t) {
              double sum = 1;
              for (int64_t i = 0; i < nq; ++i)
                for (int64_t h = 0; h < group; ++h)
                  sum += sees(i, j) ? std::exp(score(i, h, j) - lse.at(i, h)) : 0;
              return sum;
            }) < 1e-5);
    }
}
