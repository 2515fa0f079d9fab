#include "tests/unit/compiler/KernelRun.h"

#include <doctest/doctest.h>

#include <cmath>

using namespace ringc;
using namespace ringc::testing;

namespace {

struct Sizes {
  int64_t m, n, k;
};

/// a * b in double precision.
std::vector<double> product(const Matrix &a, const Matrix &b) {
  std::vector<double> c(static_cast<size_t>(a.rows() * b.columns()));
  for (int64_t i = 0; i < a.rows(); ++i)
    for (int64_t k = 0; k < a.columns(); ++k)
      for (int64_t j = 0; j < b.columns(); ++j)
        c[static_cast<size_t>(i * b.columns() + j)] += a.at(i, k) * b.at(k, j);
  return c;
}

void checkProduct(KernelRun &run, ElementType type, Sizes sizes) {
  auto [m, n, k] = sizes;
  CAPTURE(m);
  CAPTURE(n);
  CAPTURE(k);
  Matrix a = Matrix::random(type, m, k, 1), b = Matrix::random(type, k, n, 2);
  Matrix c(ElementType::F32, m, n);
  run.bind("a", a).bind("b", b).bind("c", c);
  run.extent("M", m).extent("N", n).extent("K", k).run();
  std::vector<double> expected = product(a, b);
  CHECK(relativeError(c, [&](int64_t r, int64_t s) {
          return expected[static_cast<size_t>(r * n + s)];
        }) < 1e-6);
  CHECK(c.gapsAreUntouched());
}

constexpr ElementType floats[] = {ElementType::F32, ElementType::BF16, ElementType::F16};

} // namespace

TEST_CASE("a matrix product, whole tiles and tails in every direction, on every kind of host") {
  for (const Target &target : hostVariants())
    for (ElementType type : floats) {
      CAPTURE(describe(target));
      CAPTURE(enumName(type));
      KernelRun run({.kernel = "matmul", .dtype = type}, "", target);
      for (Sizes sizes : {Sizes{64, 64, 64}, {1, 1, 1}, {65, 130, 17}, {3, 70, 129}, {64, 1, 0}})
        checkProduct(run, type, sizes);
    }
}

TEST_CASE("a matrix product of tiles that are no multiple of a vector") {
  for (const Target &target : hostVariants())
    for (std::map<std::string, int64_t> tile :
         {std::map<std::string, int64_t>{{"m", 33}, {"n", 65}, {"k", 7}},
          {{"m", 1}, {"n", 1}, {"k", 1}},
          {{"m", 5}, {"n", 128}, {"k", 31}},
          {{"m", 128}, {"n", 5}, {"k", 2}}})
      for (ElementType type : {ElementType::F32, ElementType::BF16}) {
        CAPTURE(describe(target));
        CAPTURE(enumName(type));
        CAPTURE(tile["m"]);
        KernelRun run({.kernel = "matmul", .dtype = type, .tile = tile}, "", target);
        checkProduct(run, type, {70, 67, 35});
      }
}

TEST_CASE("a matrix product in tiles, whole and with tails in every direction") {
  for (const Target &target : {hostVariants().front(), hostVariants().back()})
    for (ElementType type : {ElementType::BF16, ElementType::F16}) {
      CAPTURE(describe(target));
      CAPTURE(enumName(type));
      KernelRun run({.kernel = "matmul", .dtype = type, .tile = {{"micro_depth", 32}}}, "", target);
      for (Sizes sizes : {Sizes{64, 64, 64}, {1, 1, 1}, {65, 130, 17}, {3, 70, 129}, {64, 1, 0}})
        checkProduct(run, type, sizes);
      std::map<std::string, int64_t> odd = {{"m", 33}, {"n", 49}, {"k", 7}, {"micro_depth", 32}};
      KernelRun other({.kernel = "matmul", .dtype = type, .tile = odd}, "", target);
      checkProduct(other, type, {70, 67, 35});
    }
}

TEST_CASE("every register block that a configuration may ask for gives the same product") {
  for (auto [rows, vectors] :
       {std::pair<int64_t, int64_t>{1, 1}, {3, 3}, {12, 1}, {64, 64}, {1, 64}})
    for (const Target &target : {hostVariants().front(), hostVariants().back()}) {
      CAPTURE(rows);
      CAPTURE(vectors);
      TileConfig config{
          .tile = {{"m", 24}, {"n", 256}, {"k", 16}}, .microRows = rows, .microVectors = vectors};
      KernelRun run({.kernel = "matmul"}, "", target, config);
      checkProduct(run, ElementType::F32, {25, 257, 33});
    }
}

TEST_CASE("a value that is no number reaches its own row and column of a product, and no other") {
  for (auto [type, depth] : {std::pair(ElementType::F32, 1),
                             {ElementType::BF16, 1},
                             {ElementType::BF16, 2},
                             {ElementType::BF16, 32},
                             {ElementType::F16, 1},
                             {ElementType::F16, 32}}) {
    KernelRun run({.kernel = "matmul", .dtype = type, .tile = {{"micro_depth", depth}}});
    Matrix a = Matrix::random(type, 70, 30, 1), b = Matrix::random(type, 30, 65, 2);
    a.set(69, 3, NAN);
    b.set(29, 64, INFINITY);
    Matrix c(ElementType::F32, 70, 65);
    run.bind("a", a).bind("b", b).bind("c", c);
    run.run();
    for (int64_t i = 0; i < 70; ++i)
      for (int64_t j = 0; j < 65; ++j)
        if (std::isfinite(c.at(i, j)) != (i != 69 && j != 64))
          FAIL_CHECK("element " << i << ", " << j << " is " << c.at(i, j));
  }
}
