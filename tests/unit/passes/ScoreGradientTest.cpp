#include "tests/unit/passes/FoldedCall.h"

#include <doctest/doctest.h>

#include <cmath>
#include <functional>

using namespace ringc;

namespace {

/// A score whose body is `body`, from %s to %r, and a kernel that asks for its derivative.
std::string scoreModule(const std::string &body) {
  return R"(
    func.func private @helper(%x: f32, %c: f32) -> f32 {
      %y = arith.mulf %x, %x : f32
      %z = arith.addf %y, %c : f32
      return %z : f32
    }
    func.func private @score(%s: f32, %b: i32, %h: i32, %i: i32, %j: i32, %qrow: i32, %krow: i32, %c: f32) -> f32 {
      %one = arith.constant 1.0 : f32
)" + body +
         R"(
      return %r : f32
    }
    func.func @kernel(%s: tensor<8x8xf32>, %qpos: !tile.positions<"Nq">, %kpos: !tile.positions<"Nk">, %o: i32, %c: f32) -> tensor<8x8xf32> {
      %d = tile.apply derivative @score(%s : tensor<8x8xf32>) at %qpos[%o], %kpos[%o] with (%c : f32)
           : !tile.positions<"Nq">, !tile.positions<"Nk"> -> tensor<8x8xf32>
      return %d : tensor<8x8xf32>
    })";
}

struct Score {
  const char *name;
  const char *body;
  std::function<double(double s, double c, int i, int j)> value;
};

const Score scores[] = {
    {"affine",
     "%x = arith.mulf %s, %c : f32  %y = arith.addf %x, %one : f32  %r = arith.subf %y, %s : f32",
     [](double s, double c, int, int) { return s * c + 1 - s; }},
    {"softcap",
     "%x = arith.divf %s, %c : f32  %t = math.tanh %x : f32  %r = arith.mulf %c, %t : f32",
     [](double s, double c, int, int) { return c * std::tanh(s / c); }},
    {"bent", R"(%x = arith.divf %s, %c : f32  %t = math.tanh %x : f32  %u = arith.mulf %c, %t : f32
                %d = arith.subi %i, %j : i32  %k = arith.constant 64 : i32  %far = arith.cmpi sgt, %d, %k : i32
                %v = arith.subf %u, %one : f32  %r = arith.select %far, %v, %u : f32)",
     [](double s, double c, int i, int j) {
       double t = c * std::tanh(s / c);
       return i - j > 64 ? t - 1 : t;
     }},
    {"quotient",
     "%x = arith.mulf %s, %s : f32  %y = arith.addf %x, %c : f32  %r = arith.divf %s, %y : f32",
     [](double s, double c, int, int) { return s / (s * s + c); }},
    {"exp2 and log2",
     "%x = math.exp2 %s : f32  %y = arith.addf %x, %c : f32  %r = math.log2 %y : f32",
     [](double s, double c, int, int) { return std::log2(std::exp2(s) + c); }},
    {"exp and log", "%x = math.exp %s : f32  %y = arith.addf %x, %c : f32  %r = math.log %y : f32",
     [](double s, double c, int, int) { return std::log(std::exp(s) + c); }},
    {"sin and cos",
     "%x = arith.mulf %s, %c : f32  %y = math.sin %x : f32  %z = math.cos %s : f32  %r = "
     "arith.mulf %y, %z : f32",
     [](double s, double c, int, int) { return std::sin(s * c) * std::cos(s); }},
    {"erf", "%x = arith.divf %s, %c : f32  %y = math.erf %x : f32  %r = arith.mulf %s, %y : f32",
     [](double s, double c, int, int) { return s * std::erf(s / c); }},
    {"sqrt", "%x = arith.mulf %s, %s : f32  %y = arith.addf %x, %c : f32  %r = math.sqrt %y : f32",
     [](double s, double c, int, int) { return std::sqrt(s * s + c); }},
    {"abs", "%x = arith.subf %s, %c : f32  %y = math.absf %x : f32  %r = arith.mulf %y, %s : f32",
     [](double s, double c, int, int) { return std::fabs(s - c) * s; }},
    {"max", "%x = arith.mulf %s, %s : f32  %r = arith.maxnumf %x, %c : f32",
     [](double s, double c, int, int) { return std::max(s * s, c); }},
    {"min", "%x = arith.mulf %s, %s : f32  %r = arith.minnumf %c, %x : f32",
     [](double s, double c, int, int) { return std::min(s * s, c); }},
    {"negation and a choice by s",
     R"(%n = arith.negf %s : f32  %low = arith.cmpf olt, %s, %c : f32  %x = arith.mulf %s, %s : f32
        %r = arith.select %low, %n, %x : f32)",
     [](double s, double c, int, int) { return s < c ? -s : s * s; }},
    {"calls", R"(%x = func.call @helper(%s, %c) : (f32, f32) -> f32
                 %y = func.call @helper(%c, %x) : (f32, f32) -> f32  %r = arith.mulf %x, %y : f32)",
     [](double s, double c, int, int) { return (s * s + c) * (c * c + s * s + c); }},
    {"positions", R"(%d = arith.subi %i, %j : i32  %f = arith.sitofp %d : i32 to f32
                     %p = arith.mulf %f, %s : f32  %r = arith.addf %p, %f : f32)",
     [](double s, double, int i, int j) { return (i - j) * s + (i - j); }},
    {"rounded s is constant",
     "%k = arith.fptosi %s : f32 to i32  %f = arith.sitofp %k : i32 to f32  %r = arith.addf %f, %s "
     ": f32",
     [](double s, double, int, int) { return std::trunc(s) + s; }},
    {"constant", "%r = arith.mulf %c, %c : f32", [](double, double c, int, int) { return c * c; }},
};

} // namespace

TEST_CASE("the derivative of a score is its difference quotient") {
  for (const Score &score : scores) {
    CAPTURE(score.name);
    ScalarModule module(scoreModule(score.body), "derive-score-gradient,specialise");
    // No kink of any score lies within the step of these.
    for (double s : {-3.3, -0.9, -0.26, 0.13, 0.71, 1.9, 4.6})
      for (double c : {0.5, 2.2})
        for (int j : {3, 90}) {
          const int i = 100;
          CAPTURE(s);
          CAPTURE(c);
          const double step = 1e-5;
          double expected =
              (score.value(s + step, c, i, j) - score.value(s - step, c, i, j)) / (2 * step);
          auto at = [&](const char *function) {
            return std::get<double>(module.call(function, {s, int64_t(0), int64_t(0), int64_t(i),
                                                           int64_t(j), int64_t(0), int64_t(0), c}));
          };
          CHECK(at("score") == doctest::Approx(score.value(s, c, i, j)).epsilon(1e-5));
          CHECK(at("score.derivative") == doctest::Approx(expected).epsilon(1e-4));
        }
  }
}

TEST_CASE("at a kink the slope is finite: abs has slope 0 at 0") {
  ScalarModule module(scoreModule("%r = math.absf %s : f32"), "derive-score-gradient,specialise");
  for (auto [s, slope] : {std::pair(0.0, 0.0), std::pair(2.0, 1.0), std::pair(-2.0, -1.0)})
    CHECK(std::get<double>(
              module.call("score.derivative", {s, int64_t(0), int64_t(0), int64_t(0), int64_t(0),
                                               int64_t(0), int64_t(0), 1.0})) == slope);
}
