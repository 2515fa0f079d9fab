// Element-wise functions against the C library in double, over the whole range of f32.

#include "tests/unit/compiler/KernelRun.h"

#include <doctest/doctest.h>

#include <bit>
#include <cfloat>
#include <cmath>
#include <limits>
#include <map>
#include <random>

using namespace ringc;
using namespace ringc::testing;

namespace {

constexpr double inf = std::numeric_limits<double>::infinity();
constexpr double none = std::numeric_limits<double>::quiet_NaN();

/// Floats of every exponent, both signs, and what is special; 512 columns.
Matrix floatsOfEverySize() {
  constexpr int64_t rows = 64, columns = 512;
  Matrix x(ElementType::F32, rows, columns);
  constexpr double special[] = {0.0,      -0.0,    inf,      -inf,  none,   1,        -1,
                                127.9,    128,     128.5,    -126,  -126.5, -127,     -148.9,
                                -149,     -150,    -151,     0.5,   -0.5,   1.5,      FLT_MAX,
                                -FLT_MAX, FLT_MIN, -FLT_MIN, 1e-45, -1e-45, 0x1p-130, -0x1p-130};
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c) {
      uint32_t n = static_cast<uint32_t>(r * columns + c);
      x.set(r, c, std::bit_cast<float>(n * 131074u + n % 97u));
    }
  for (size_t i = 0; i < std::size(special); ++i)
    x.set(3, static_cast<int64_t>(i), special[i]);
  // The range in which 2^x, tanh and log2 vary.
  for (int64_t r = 4; r < 20; ++r)
    for (int64_t c = 0; c < columns; ++c)
      x.set(r, c, (double((r - 4) * columns + c) / 8192 - 0.5) * (r % 2 ? 300 : 20));
  return x;
}

/// Largest error relative to the result, or to `least` where that is larger. Results below
/// `flushed` may be anything from 0 to there.
double error(const Matrix &actual, const Matrix &x, double (*function)(double), double least,
             double flushed = 0) {
  double largest = 0;
  for (int64_t r = 0; r < x.rows(); ++r)
    for (int64_t c = 0; c < x.columns(); ++c) {
      double got = actual.at(r, c), expected = function(x.at(r, c));
      double rounded = static_cast<float>(expected);
      if (got == rounded || (std::isnan(got) && std::isnan(expected)))
        continue;
      if (got >= 0 && got < flushed && expected < flushed)
        continue;
      // 1 + 1e-6 of the greatest float and infinity are neighbours.
      if (std::isinf(got) && std::abs(expected) > FLT_MAX * 0.999999)
        continue;
      double far = std::abs(got - expected) / std::max(std::abs(expected), least);
      if (!(far <= largest)) {
        INFO("x = ", x.at(r, c), " gives ", got, " for ", expected);
        if (!std::isfinite(far) || far > 1e-5) {
          CHECK(got == doctest::Approx(expected));
          return INFINITY;
        }
        largest = far;
      }
    }
  return largest;
}

} // namespace

TEST_CASE("exp2, tanh, log2 and sqrt are those of mathematics, over all floats") {
  constexpr const char *text = R"(
kernel functions<BN = 512>(x: view<f32>[M, N], e: view<f32>[M, N], t: view<f32>[M, N], l: view<f32>[M, N], s: view<f32>[M, N], a: view<f32>[M, N])
  over r in M step 1, c in N step BN
{
  let v = x[r : 1, c : BN]
  e[r : 1, c : BN] = exp2(v)
  t[r : 1, c : BN] = tanh(v)
  l[r : 1, c : BN] = log2(v)
  s[r : 1, c : BN] = sqrt(v)
  a[r : 1, c : BN] = abs(v)
}
)";
  for (const Target &target : hostVariants()) {
    CAPTURE(describe(target));
    KernelRun run({.kernel = "functions"}, text, target);
    Matrix x = floatsOfEverySize();
    auto result = [&] { return Matrix(ElementType::F32, x.rows(), x.columns()); };
    Matrix e = result(), t = result(), l = result(), s = result(), a = result();
    run.bind("x", x).bind("e", e).bind("t", t).bind("l", l).bind("s", s).bind("a", a).run();
    CHECK(error(e, x, [](double v) { return std::exp2(v); }, FLT_MIN, 0x1p-125) < 3e-7);
    CHECK(error(t, x, [](double v) { return std::tanh(v); }, FLT_MIN) < 1e-6);
    CHECK(error(l, x, [](double v) { return std::log2(v); }, 1) < 1e-6);
    CHECK(error(s, x, [](double v) { return std::sqrt(v); }, 1e-50) < 1e-7);
    CHECK(error(a, x, [](double v) { return std::abs(v); }, 1e-50) == 0);
  }
}

TEST_CASE("2^x of a score that the keys' sum needs is exact where x is a whole number") {
  constexpr const char *text = R"(
kernel powers<BN = 64>(x: view<f32>[1, N], y: view<f32>[1, N]) over c in N step BN
{
  y[0 : 1, c : BN] = exp2(x[0 : 1, c : BN])
}
)";
  for (const Target &target : hostVariants()) {
    CAPTURE(describe(target));
    Matrix x = Matrix::from(ElementType::F32, 1, 253, [](int64_t, int64_t c) { return c - 125.0; });
    Matrix y(ElementType::F32, 1, 253);
    KernelRun run({.kernel = "powers"}, text, target);
    run.bind("x", x).bind("y", y).run();
    CHECK(error(y, x, [](double v) { return std::exp2(v); }, 1e-50) == 0);
  }
}

TEST_CASE("max and min give the number where the other is none; reductions pass over it") {
  constexpr const char *text = R"(
kernel extremes<BN = 8>(x: view<f32>[M, N], y: view<f32>[M, N], high: view<f32>[M, N], low: view<f32>[M, N], row: view<f32>[M])
  over r in M step 8
{
  let a = x[r : 8, 0 : BN]
  let b = y[r : 8, 0 : BN]
  high[r : 8, 0 : BN] = max(a, b)
  low[r : 8, 0 : BN] = min(a, b)
  row[r : 8] = rowmax(a)
}
)";
  constexpr double values[] = {none, -inf, -3, -0.0, 1e-40, 2, 1e30, inf};
  for (const Target &target : hostVariants()) {
    CAPTURE(describe(target));
    KernelRun run({.kernel = "extremes"}, text, target);
    auto value = [&](int64_t at) { return values[at]; };
    Matrix x = Matrix::from(ElementType::F32, 8, 8, [&](int64_t r, int64_t) { return value(r); });
    Matrix y = Matrix::from(ElementType::F32, 8, 8, [&](int64_t, int64_t c) { return value(c); });
    x.set(3, 0, none);
    Matrix high(ElementType::F32, 8, 8), low(ElementType::F32, 8, 8), row(ElementType::F32, 8, 1);
    run.bind("x", x).bind("y", y).bind("high", high).bind("low", low).bind("row", row).run();
    CHECK(largestError(high, [&](int64_t r, int64_t c) {
            return std::fmax(static_cast<float>(x.at(r, c)), static_cast<float>(y.at(r, c)));
          }) == 0);
    CHECK(largestError(low, [&](int64_t r, int64_t c) {
            return std::fmin(static_cast<float>(x.at(r, c)), static_cast<float>(y.at(r, c)));
          }) == 0);
    CHECK(largestError(row, [&](int64_t r, int64_t) {
            return r == 0 ? -inf : static_cast<float>(value(r));
          }) == 0);
  }
}

namespace {

constexpr int32_t leastInteger = std::numeric_limits<int32_t>::min();
constexpr int32_t integers[] = {leastInteger, leastInteger + 1, -7, -2, -1, 0, 1, 2, 3, 7,
                                1000000007,   2147483647};

int32_t dividedDown(int32_t a, int32_t b) {
  if (b == 0)
    return 0;
  int64_t quotient = int64_t(a) / b;
  if (int64_t(a) % b != 0 && (a < 0) != (b < 0))
    --quotient;
  return static_cast<int32_t>(quotient);
}

int32_t remainderDown(int32_t a, int32_t b) {
  return b == 0 ? 0
                : static_cast<int32_t>(a - int64_t(b) * (int64_t(a) / b) +
                                       (int64_t(a) % b != 0 && (a < 0) != (b < 0) ? b : 0));
}

} // namespace

TEST_CASE("integers divide downwards, by nothing to nothing, and wrap: as scalars") {
  constexpr const char *text = R"(
kernel division(a: i32, b: i32, quotient: i32, rest: i32, third: i32, fifth: i32, absolute: i32, product: i32, y: view<f32>[1, 6])
  over r in 1 step 1
{
  y[0 : 1, 0 : 1] = full<f32>[1, 1](a / b == quotient ? 1.0 : 0.0)
  y[0 : 1, 1 : 1] = full<f32>[1, 1](a % b == rest ? 1.0 : 0.0)
  y[0 : 1, 2 : 1] = full<f32>[1, 1](a / 3 == third ? 1.0 : 0.0)
  y[0 : 1, 3 : 1] = full<f32>[1, 1](a % 5 == fifth ? 1.0 : 0.0)
  y[0 : 1, 4 : 1] = full<f32>[1, 1](abs(a) == absolute ? 1.0 : 0.0)
  y[0 : 1, 5 : 1] = full<f32>[1, 1](a * b - b == product ? 1.0 : 0.0)
}
)";
  KernelRun run({.kernel = "division"}, text);
  for (int32_t a : integers)
    for (int32_t b : integers) {
      CAPTURE(a);
      CAPTURE(b);
      auto wrapped = [](int64_t value) { return static_cast<int32_t>(uint64_t(value)); };
      Matrix y(ElementType::F32, 1, 6);
      run.bind("a", a).bind("b", b).bind("quotient", dividedDown(a, b));
      run.bind("rest", remainderDown(a, b)).bind("third", dividedDown(a, 3));
      run.bind("fifth", remainderDown(a, 5)).bind("absolute", wrapped(std::abs(int64_t(a))));
      run.bind("product", wrapped(int64_t(a) * b - b)).bind("y", y).run();
      CHECK(largestError(y, [](int64_t, int64_t) { return 1; }) == 0);
    }
}

TEST_CASE("integers divide downwards in a mask's vectors too") {
  // The mask holds where quotient and remainder are those of the table.
  constexpr const char *text = R"(
mask divides(b: index, h: index, i: index, j: index, a: view<i32>[Nq], c: view<i32>[Nk], quotient: view<i32>[Nq, Nk], rest: view<i32>[Nq, Nk]) {
  return a[i] / c[j] == quotient[i, j] and a[i] % c[j] == rest[i, j]
}
kernel table<BQ = 8, BKV = 8, mask: predicate = all>(qpos: positions[Nq], kpos: positions[Nk], right: view<f32>[Nq])
  over rows in Nq step BQ
{
  for cols in 0 .. Nk step BKV {
    right[rows : BQ] += rowsum(where(mask(qpos[rows : BQ], kpos[cols : BKV]), full<f32>[BQ, BKV](1.0), 0.0))
  }
}
)";
  constexpr int64_t count = std::size(integers);
  for (const Target &target : hostVariants()) {
    CAPTURE(describe(target));
    KernelRun run({.kernel = "table", .mask = {"divides"}}, text, target);
    auto table = [&](auto value) {
      return Matrix::from(ElementType::I32, count, count, [&](int64_t r, int64_t c) {
        return double(value(integers[r], integers[c]));
      });
    };
    Matrix a =
        Matrix::from(ElementType::I32, count, 1, [](int64_t r, int64_t) { return integers[r]; });
    Matrix quotient = table(dividedDown), rest = table(remainderDown);
    Matrix right = Matrix::from(ElementType::F32, count, 1, [](int64_t, int64_t) { return 0; });
    Positions positions{.first = 0, .block = 1 << 20, .jump = 1};
    run.bind("right", right).bind("qpos", positions).bind("kpos", positions);
    run.bind("divides.a", a).bind("divides.c", a);
    run.bind("divides.quotient", quotient).bind("divides.rest", rest);
    run.extent("Nq", count).extent("Nk", count).run();
    CHECK(largestError(right, [](int64_t, int64_t) { return count; }) == 0);
  }
}

TEST_CASE("integers divide downwards, by nothing to nothing, and wrap: as tiles") {
  constexpr const char *text = R"(
function mixed(n: i32, m: i32) -> i32 { return n < m ? n % 7 : abs(n) / 3 }
kernel operations<BM = 4, BN = 8>(
    a: view<i32>[M], b: view<i32>[N], sum: view<i32>[M, N], difference: view<i32>[M, N], product: view<i32>[M, N],
    quotient: view<i32>[M, N], rest: view<i32>[M, N], least: view<i32>[M, N], most: view<i32>[M, N], negated: view<i32>[M],
    chosen: view<i32>[M, N], called: view<i32>[M, N], compared: view<i32>[M, N])
  over r in M step BM, c in N step BN
{
  let x = a[r : BM]
  let y = b[c : BN]^T
  sum[r : BM, c : BN] = x + y
  difference[r : BM, c : BN] = x - y
  product[r : BM, c : BN] = x * y
  quotient[r : BM, c : BN] = x / y
  rest[r : BM, c : BN] = x % y
  least[r : BM, c : BN] = min(x, y)
  most[r : BM, c : BN] = max(x, y)
  negated[r : BM] = -x + abs(x) / 5 - 1
  chosen[r : BM, c : BN] = where(x >= y, x, 3)
  called[r : BM, c : BN] = mixed(x, y)
  compared[r : BM, c : BN] = where(x < y, 1, zeros<i32>[BM, BN]) + where(x == y, 2, zeros<i32>[BM, BN]) + where(x > y and x != 7, 4, full<i32>[BM, BN](0))
}
)";
  constexpr int64_t count = std::size(integers);
  auto wrapped = [](int64_t value) { return static_cast<int32_t>(uint64_t(value)); };
  for (const Target &target : hostVariants()) {
    CAPTURE(describe(target));
    KernelRun run({.kernel = "operations"}, text, target);
    Matrix a =
        Matrix::from(ElementType::I32, count, 1, [](int64_t r, int64_t) { return integers[r]; });
    run.bind("a", a).bind("b", a);
    std::map<std::string, std::function<int32_t(int32_t, int32_t)>> expected = {
        {"sum", [&](int32_t x, int32_t y) { return wrapped(int64_t(x) + y); }},
        {"difference", [&](int32_t x, int32_t y) { return wrapped(int64_t(x) - y); }},
        {"product", [&](int32_t x, int32_t y) { return wrapped(int64_t(x) * y); }},
        {"quotient", dividedDown},
        {"rest", remainderDown},
        {"least", [](int32_t x, int32_t y) { return std::min(x, y); }},
        {"most", [](int32_t x, int32_t y) { return std::max(x, y); }},
        {"chosen", [](int32_t x, int32_t y) { return x >= y ? x : 3; }},
        {"called",
         [&](int32_t x, int32_t y) {
           return x < y ? remainderDown(x, 7) : dividedDown(wrapped(std::abs(int64_t(x))), 3);
         }},
        {"compared", [](int32_t x, int32_t y) { return x < y    ? 1
                                                       : x == y ? 2
                                                       : x != 7 ? 4
                                                                : 0; }},
    };
    std::map<std::string, Matrix> results;
    for (const auto &[name, function] : expected)
      run.bind(name, results.emplace(name, Matrix(ElementType::I32, count, count)).first->second);
    Matrix negated(ElementType::I32, count, 1);
    run.bind("negated", negated).run();
    for (const auto &[name, function] : expected) {
      CAPTURE(name);
      CHECK(largestError(results.at(name), [&](int64_t r, int64_t c) {
              return double(function(integers[r], integers[c]));
            }) == 0);
    }
    CHECK(largestError(negated, [&](int64_t r, int64_t) {
            int64_t x = integers[r];
            return double(wrapped(-x + dividedDown(wrapped(std::abs(x)), 5) - 1));
          }) == 0);
  }
}

TEST_CASE("tiles of floats become integers and integers floats as scalars do") {
  constexpr const char *text = R"(
kernel conversions<BM = 8>(x: view<f32>[M], n: view<i32>[M], toward: view<i32>[M], real: view<f32>[M], known: view<bool>[M])
  over r in M step BM
{
  let whole = i32(x[r : BM])
  toward[r : BM] = whole
  real[r : BM] = f32(n[r : BM])
  known[r : BM] = whole == i32(f32(whole))
}
)";
  constexpr double reals[] = {0,    -0.0,        0.5,         -0.5,         1.99, -1.99, 1e6,
                              -1e6, 2147483520., 2147483648., -2147483648., -3e9, 1e30,  inf,
                              -inf, none,        16777217.,   1e-40,        2e9,  -7.5};
  constexpr int32_t wholes[] = {0, 1, -1, 16777217, -16777219, 2147483647, leastInteger, 33554433};
  for (const Target &target : hostVariants()) {
    CAPTURE(describe(target));
    KernelRun run({.kernel = "conversions"}, text, target);
    constexpr int64_t count = std::size(reals);
    Matrix x =
        Matrix::from(ElementType::F32, count, 1, [&](int64_t r, int64_t) { return reals[r]; });
    Matrix n = Matrix::from(ElementType::I32, count, 1, [&](int64_t r, int64_t) {
      return wholes[r % int64_t(std::size(wholes))];
    });
    Matrix toward(ElementType::I32, count, 1), real(ElementType::F32, count, 1),
        known(ElementType::Bool, count, 1);
    run.bind("x", x).bind("n", n).bind("toward", toward).bind("real", real).bind("known", known);
    run.run();
    CHECK(largestError(toward, [&](int64_t r, int64_t) {
            double value = x.at(r);
            if (std::isnan(value) || value < -0x1p31)
              return -0x1p31;
            return value >= 0x1p31 ? 0x1p31 - 1 : std::trunc(value);
          }) == 0);
    CHECK(largestError(real, [&](int64_t r, int64_t) { return double(float(n.at(r))); }) == 0);
    CHECK(known.at(0) == 1);
  }
}

namespace {

/// The largest error in units in the last place of the exact result, which are those of the least
/// subnormal at least.
double unitsOff(const Matrix &actual, const Matrix &x, double (*function)(double)) {
  double largest = 0;
  for (int64_t r = 0; r < x.rows(); ++r)
    for (int64_t c = 0; c < x.columns(); ++c) {
      double got = actual.at(r, c), expected = function(x.at(r, c));
      if (static_cast<float>(expected) == got || (std::isnan(got) && std::isnan(expected)))
        continue;
      double unit = std::ldexp(1, std::max(std::ilogb(expected), -126) - 23);
      double far = std::abs(got - expected);
      if (std::isinf(got) && std::abs(expected) > FLT_MAX)
        continue;
      far /= unit;
      if (!(far <= largest)) {
        INFO("x = ", x.at(r, c), " gives ", got, " for ", expected);
        if (!(far < 4)) {
          CHECK(got == expected);
          return INFINITY;
        }
        largest = far;
      }
    }
  return largest;
}

} // namespace

TEST_CASE(
    "exp, log, erf, sin and cos are right to about a unit in the last place, over all floats") {
  constexpr const char *text = R"(
kernel functions<BN = 512>(x: view<f32>[M, N], e: view<f32>[M, N], l: view<f32>[M, N], f: view<f32>[M, N], s: view<f32>[M, N], c: view<f32>[M, N])
  over r in M step 1, n in N step BN
{
  let v = x[r : 1, n : BN]
  e[r : 1, n : BN] = exp(v)
  l[r : 1, n : BN] = log(v)
  f[r : 1, n : BN] = erf(v)
  s[r : 1, n : BN] = sin(v)
  c[r : 1, n : BN] = cos(v)
}
)";
  Matrix x = floatsOfEverySize();
  // Where exp, log and erf vary; angles near multiples of pi/2, and those that are nearest to one.
  std::mt19937 generator(std::random_device{}());
  std::uniform_real_distribution<double> wide(-110, 100), narrow(-5, 5);
  for (int64_t r = 20; r < 40; ++r)
    for (int64_t c = 0; c < x.columns(); ++c)
      x.set(r, c,
            r % 4 == 0   ? wide(generator)
            : r % 4 == 1 ? narrow(generator)
            : r % 4 == 2 ? 1 + narrow(generator) / 64
                         : 1.5707963267948966 * double((r * 512 + c) * (c % 7 + 1)));
  constexpr double hard[] = {16367173.0 * 0x1p72,
                             13962073.0 * 0x1p88,
                             11706311.0 * 0x1p-10,
                             0x1p31,
                             0x1p16,
                             65535.99609375,
                             -65536,
                             4.1887902e9,
                             1e22,
                             88.72284,
                             -87.33655,
                             -103.97,
                             -104.1,
                             0.92773438,
                             0.92773437,
                             3.9,
                             -4.1,
                             0x1p-149,
                             -0x1p-149};
  for (size_t i = 0; i < std::size(hard); ++i)
    x.set(5, static_cast<int64_t>(i), hard[i]);
  for (const Target &target : hostVariants()) {
    CAPTURE(describe(target));
    KernelRun run({.kernel = "functions"}, text, target);
    auto result = [&] { return Matrix(ElementType::F32, x.rows(), x.columns()); };
    Matrix e = result(), l = result(), f = result(), s = result(), c = result();
    run.bind("x", x).bind("e", e).bind("l", l).bind("f", f).bind("s", s).bind("c", c).run();
    CHECK(unitsOff(e, x, [](double v) { return std::exp(v); }) < 1.1);
    CHECK(unitsOff(l, x, [](double v) { return std::log(v); }) < 1.1);
    CHECK(unitsOff(f, x, [](double v) { return std::erf(v); }) < 1.1);
    CHECK(unitsOff(s, x, [](double v) { return std::sin(v); }) < 1.5);
    CHECK(unitsOff(c, x, [](double v) { return std::cos(v); }) < 1.5);
    // Signs of zeros.
    for (int64_t column : {0, 1}) {
      CHECK(std::signbit(s.at(3, column)) == std::signbit(x.at(3, column)));
      CHECK(std::signbit(f.at(3, column)) == std::signbit(x.at(3, column)));
    }
  }
}
