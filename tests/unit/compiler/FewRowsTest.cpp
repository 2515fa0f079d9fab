// Products of fewer rows than a vector has lanes, which read windows where they lie: against double
// precision, with memory that ends where the views do.

#include "tests/unit/compiler/KernelRun.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

using namespace ringc;
using namespace ringc::testing;

namespace {

constexpr const char *twoProducts = R"(
kernel two_products<D, T: type, BM = 4, BK = 32>(
    q: view<T>[M, D], k: view<T>[N, D], v: view<T>[N, D], out: view<f32>[M, D], most: view<f32>[M])
  over rows in M step BM
{
  let qt = q[rows : BM, :]
  var acc = zeros<f32>[BM, D]
  var m = full<f32>[BM, 1](-inf)
  for cols in 0 .. N step BK {
    let s = dot(qt, k[cols : BK, :]^T)
    m = max(m, rowmax(s))
    acc += dot(cast<T>(s), v[cols : BK, :])
  }
  out[rows : BM, :] = acc
  most[rows : BM] = m
}
)";

struct Case {
  int64_t rowsOfTile, dim;
};

void check(KernelRun &run, ElementType type, int64_t dim, int64_t m, int64_t n) {
  CAPTURE(m);
  CAPTURE(n);
  Matrix q = Matrix::random(type, m, dim, 1), k = Matrix::random(type, n, dim, 2),
         v = Matrix::random(type, n, dim, 3);
  Matrix out(ElementType::F32, m, dim), most(ElementType::F32, m, 1, 0);
  run.bind("q", q).bind("k", k).bind("v", v).bind("out", out).bind("most", most);
  run.extent("M", m).extent("N", n).run();
  auto score = [&](int64_t i, int64_t j) {
    double sum = 0;
    for (int64_t at = 0; at < dim; ++at)
      sum += q.at(i, at) * k.at(j, at);
    return sum;
  };
  CHECK(relativeError(out, [&](int64_t i, int64_t e) {
          double sum = 0;
          for (int64_t j = 0; j < n; ++j)
            sum += score(i, j) * v.at(j, e);
          return sum;
        }) < 1e-6 + (type == ElementType::F32 ? 0 : roundingOf(type)));
  // Beside the keys lie those of a last tile that there are not: their scores are 0.
  CHECK(largestError(most, [&](int64_t i, int64_t) {
          double greatest = n % 32 ? 0 : -std::numeric_limits<double>::infinity();
          for (int64_t j = 0; j < n; ++j)
            greatest = std::max(greatest, score(i, j));
          return greatest;
        }) < 1e-5);
  CHECK(out.gapsAreUntouched());
}

} // namespace

TEST_CASE("products of few rows, on every kind of host") {
  for (const Target &target : hostVariants())
    for (ElementType type : {ElementType::F32, ElementType::BF16, ElementType::F16})
      for (Case each : {Case{1, 64}, {2, 32}, {4, 96}, {8, 64}, {3, 32}, {4, 40}}) {
        CAPTURE(describe(target));
        CAPTURE(enumName(type));
        CAPTURE(each.rowsOfTile);
        CAPTURE(each.dim);
        KernelRun run({.kernel = "two_products",
                       .headDim = each.dim,
                       .dtype = type,
                       .tile = {{"m", each.rowsOfTile}}},
                      twoProducts, target);
        check(run, type, each.dim, each.rowsOfTile, 64);
        check(run, type, each.dim, 2 * each.rowsOfTile - 1, 33);
        check(run, type, each.dim, 5, 7);
      }
}

TEST_CASE(
    "of products of few rows, what is no number reaches its own row or column, and no other") {
  for (ElementType type : {ElementType::F32, ElementType::BF16}) {
    constexpr int64_t dim = 64, keys = 64;
    KernelRun run({.kernel = "two_products", .headDim = dim, .dtype = type}, twoProducts);
    Matrix q = Matrix::random(type, 4, dim, 1), k = Matrix::random(type, keys, dim, 2),
           v = Matrix::random(type, keys, dim, 3);
    q.set(2, 5, NAN);
    v.set(63, 7, NAN);
    Matrix out(ElementType::F32, 4, dim), most(ElementType::F32, 4, 1, 0);
    run.bind("q", q).bind("k", k).bind("v", v).bind("out", out).bind("most", most).run();
    for (int64_t i = 0; i < 4; ++i)
      for (int64_t e = 0; e < dim; ++e)
        if (std::isfinite(out.at(i, e)) != (i != 2 && e != 7))
          FAIL_CHECK("element " << i << ", " << e << " is " << out.at(i, e));
  }
}
