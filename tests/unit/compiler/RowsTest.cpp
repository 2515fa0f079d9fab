// Kernels that work row by row, the library's and a user's.

#include "tests/unit/compiler/KernelRun.h"

#include <doctest/doctest.h>

#include <cmath>

using namespace ringc;
using namespace ringc::testing;

namespace {

constexpr ElementType floats[] = {ElementType::F32, ElementType::BF16, ElementType::F16};

struct Shape {
  int64_t rows, columns;
};
constexpr Shape shapes[] = {{1, 1}, {16, 256}, {17, 257}, {33, 65}, {5, 600}};

constexpr const char *layerNorm = R"(
kernel layer_norm<T: type, BM = 8, BN = 48>(x: view<T>[M, N], gain: view<f32>[1, N], y: view<T>[M, N], eps: f32)
  over r in M step BM
{
  var sum = zeros<f32>[BM, 1]
  for c in 0 .. N step BN {
    sum += rowsum(cast<f32>(x[r : BM, c : BN]))
  }
  let mean = sum / f32(N)
  var squares = zeros<f32>[BM, 1]
  for c in 0 .. N step BN {
    let centred = cast<f32>(x[r : BM, c : BN else 0.0]) - mean
    squares += rowsum(centred * centred)
  }
  // Columns beyond the last are read as 0 and centred to -mean.
  let beyond = (N + BN - 1) / BN * BN - N
  let variance = (squares - f32(beyond) * mean * mean) / f32(N)
  for c in 0 .. N step BN {
    let t = (cast<f32>(x[r : BM, c : BN]) - mean) / sqrt(variance + eps)
    y[r : BM, c : BN] = cast<T>(t * gain[0 : 1, c : BN])
  }
}
)";

} // namespace

TEST_CASE("row softmax") {
  for (const Target &target : hostVariants())
    for (ElementType type : floats) {
      CAPTURE(describe(target));
      CAPTURE(enumName(type));
      KernelRun run({.kernel = "row_softmax", .dtype = type}, "", target);
      for (auto [rows, columns] : shapes) {
        Matrix x = Matrix::random(type, rows, columns, 1), y(type, rows, columns);
        x.set(0, 0, 30);
        x.set(rows - 1, columns - 1, -INFINITY);
        if (columns == 1)
          x.set(0, 0, 3);
        run.bind("x", x).bind("y", y).extent("M", rows).extent("N", columns).run();
        std::vector<double> sums(static_cast<size_t>(rows));
        for (int64_t r = 0; r < rows; ++r)
          for (int64_t c = 0; c < columns; ++c)
            sums[static_cast<size_t>(r)] += std::exp(x.at(r, c));
        CHECK(largestError(y, [&](int64_t r, int64_t c) {
                return std::exp(x.at(r, c)) / sums[static_cast<size_t>(r)];
              }) < roundingOf(type) + 2e-6);
        CHECK(y.gapsAreUntouched());
      }
    }
}

TEST_CASE("layer norm from a user's text: three loops, a row of gains, a scalar") {
  for (const Target &target : hostVariants())
    for (ElementType type : floats) {
      CAPTURE(describe(target));
      CAPTURE(enumName(type));
      KernelRun run({.kernel = "layer_norm", .dtype = type}, layerNorm, target);
      for (auto [rows, columns] : shapes) {
        if (columns == 1)
          continue;
        Matrix x = Matrix::random(type, rows, columns, 1), y(type, rows, columns);
        Matrix gain = Matrix::random(ElementType::F32, 1, columns, 2);
        run.bind("x", x).bind("gain", gain).bind("y", y).bind("eps", 1e-3f);
        run.extent("M", rows).extent("N", columns).run();
        CHECK(largestError(y, [&](int64_t r, int64_t c) {
                double mean = 0, variance = 0;
                for (int64_t i = 0; i < columns; ++i)
                  mean += x.at(r, i) / double(columns);
                for (int64_t i = 0; i < columns; ++i)
                  variance += std::pow(x.at(r, i) - mean, 2) / double(columns);
                return (x.at(r, c) - mean) / std::sqrt(variance + 1e-3) * gain.at(0, c);
              }) < roundingOf(type) * 1.1 + 2e-5);
        CHECK(y.gapsAreUntouched());
      }
    }
}

TEST_CASE("the merge of two attentions") {
  for (ElementType type : floats)
    for (auto [rows, columns] : {Shape{1, 64}, {65, 40}, {7, 1}}) {
      CAPTURE(enumName(type));
      CAPTURE(columns);
      Spec spec{.kernel = "attention_merge", .headDim = columns, .dtype = type};
      Matrix a = Matrix::random(type, rows, columns, 1), b = Matrix::random(type, rows, columns, 2);
      Matrix out(type, rows, columns);
      auto column = [&](int which) {
        return Matrix::from(ElementType::F32, rows, 1, [&](int64_t r, int64_t) -> double {
          constexpr double pairs[][2] = {{0.5, 1.5},     {200, -200},    {-200, 200},
                                         {-INFINITY, 3}, {3, -INFINITY}, {-INFINITY, -INFINITY},
                                         {88, 89}};
          return pairs[r % 7][which];
        });
      };
      Matrix lseA = column(0), lseB = column(1), lse(ElementType::F32, rows, 1);
      KernelRun run(spec);
      run.bind("out_a", a).bind("lse_a", lseA).bind("out_b", b);
      run.bind("lse_b", lseB).bind("out", out).bind("lse", lse).run();
      auto weight = [&](int64_t r, const Matrix &of) {
        double top = std::max(lseA.at(r), lseB.at(r));
        return std::isinf(top) ? 0 : std::exp(of.at(r) - top);
      };
      CHECK(largestError(lse, [&](int64_t r, int64_t) {
              double top = std::max(lseA.at(r), lseB.at(r));
              return std::isinf(top) ? top : top + std::log(weight(r, lseA) + weight(r, lseB));
            }) < 1e-6);
      CHECK(largestError(out, [&](int64_t r, int64_t c) {
              double sum = weight(r, lseA) + weight(r, lseB);
              return sum == 0 ? 0
                              : (weight(r, lseA) * a.at(r, c) + weight(r, lseB) * b.at(r, c)) / sum;
            }) < roundingOf(type) + 1e-6);
      CHECK(out.gapsAreUntouched());
    }
}
