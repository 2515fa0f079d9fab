#include "ringc/compiler/frontend/Check.h"
#include "ringc/compiler/frontend/Parser.h"

#include <doctest/doctest.h>

using namespace ringc::frontend;

namespace {

/// The type of `let result = <text>` in a kernel with tiles x [R, C], row [1, C], col [R, 1],
/// narrow [R, C] of T, and scalars.
std::string typeOf(const std::string &text) {
  ParseResult parsed = parse({"test.tile", R"(
function square(x: f32) -> f32 { return x * x }
function blend(x: f32, y: f32, n: i32) -> f32 { return n > 0 ? x : y }
kernel k<R = 8, C = 8, T: type>(xv: view<f32>[M, N], rv: view<f32>[1, N], cv: view<f32>[M], nv: view<T>[M, N],
                                iv: view<i32>[M, N], f: f32, n: i32, p: bool) over r in M step R, c in N step C {
  let x = xv[r : R, c : C]
  let row = rv[:, c : C]
  let col = cv[r : R]
  let narrow = nv[r : R, c : C]
  let whole = iv[r : R, c : C]
  let result = )" + text + "\n}"});
  REQUIRE(render(parsed.diagnostics) == "");
  std::vector<Diagnostic> errors = check(parsed.module);
  if (!errors.empty())
    return errors.front().message;
  return print(std::get<LetStatement>(parsed.module.kernels.at(0)->body.back().node).value->type);
}

} // namespace

TEST_CASE("scalars") {
  CHECK(typeOf("n / 2 % 3") == "i32");
  CHECK(typeOf("f * 2 + -1") == "f32");
  CHECK(typeOf("2 * f") == "f32");
  CHECK(typeOf("n < 2 and f >= 1 or not p") == "bool");
  CHECK(typeOf("p ? 1 : f") == "f32");
  CHECK(typeOf("where(p, n, 1)") == "i32");
  CHECK(typeOf("where(p, f, 1)") == "f32");
  CHECK(typeOf("max(n, 1)") == "i32");
  CHECK(typeOf("max(f, 1)") == "f32");
  CHECK(typeOf("sqrt(2)") == "f32");
  CHECK(typeOf("f32(n) * LOG2E") == "f32");
  CHECK(typeOf("i32(f) + M") == "i32");
  CHECK(typeOf("p == true") == "bool");
}

TEST_CASE("tiles repeat rows, columns and scalars") {
  CHECK(typeOf("x + row") == "tile<f32>[R, C]");
  CHECK(typeOf("row * col") == "tile<f32>[R, C]");
  CHECK(typeOf("x * 2 - f") == "tile<f32>[R, C]");
  CHECK(typeOf("col == -inf") == "tile<bool>[R, 1]");
  CHECK(typeOf("(x > 0) and (row > 0)") == "tile<bool>[R, C]");
  CHECK(typeOf("(x > 0) and p") == "tile<bool>[R, C]");
  CHECK(typeOf("not (x > 0)") == "tile<bool>[R, C]");
  CHECK(typeOf("where(col > 0, x, 0)") == "tile<f32>[R, C]");
  CHECK(typeOf("where(p, row, col)") == "tile<f32>[R, C]");
  CHECK(typeOf("max(col, rowmax(x))") == "tile<f32>[R, 1]");
  CHECK(typeOf("abs(x) + colsum(x)") == "tile<f32>[R, C]");
}

TEST_CASE("shapes are compared by name") {
  CHECK(typeOf("x + x^T") == "shapes do not agree: [R, C] and [C, R]"); // both are 8 by default
  CHECK(typeOf("x^T") == "tile<f32>[C, R]");
  CHECK(typeOf("dot(x, x^T)") == "tile<f32>[R, R]");
  CHECK(typeOf("dot(narrow^T, narrow)") == "tile<f32>[C, C]");
  CHECK(typeOf("zeros<f32>[8, C] + x") == "shapes do not agree: [8, C] and [R, C]");
}

TEST_CASE("element types") {
  CHECK(typeOf("cast<T>(x)") == "tile<T>[R, C]");
  CHECK(typeOf("cast<f32>(narrow) + x") == "tile<f32>[R, C]");
  CHECK(typeOf("cast<bf16>(whole)") == "tile<bf16>[R, C]");
  CHECK(typeOf("full<T>[R, 1](1)") == "tile<T>[R, 1]");
  CHECK(typeOf("nv[r : R, c : C else -inf]") == "tile<T>[R, C]");
  CHECK(typeOf("xv[r + 1 : R, c * 2 : 4]") == "tile<f32>[R, 4]");
}

TEST_CASE("functions of scalars work on tiles of a kernel") {
  CHECK(typeOf("square(f)") == "f32");
  CHECK(typeOf("square(x)") == "tile<f32>[R, C]");
  CHECK(typeOf("blend(row, col, 1)") == "tile<f32>[R, C]");
  CHECK(typeOf("blend(x, 1, n)") == "tile<f32>[R, C]");
  CHECK(typeOf("square(narrow)") == "argument 1 of 'square' must be f32, not tile<T>[R, C]");
}

TEST_CASE("an error is reported once, not in all that follows from it") {
  ParseResult parsed = parse({"test.tile", R"(
function f(x: f32) -> f32 {
  let a = missing
  let b = a + 1
  let c = tanh(b) * x
  return c ? a : b
})"});
  std::vector<Diagnostic> errors = check(parsed.module);
  REQUIRE(errors.size() == 1);
  CHECK(errors[0].message == "unknown name 'missing'");
}
