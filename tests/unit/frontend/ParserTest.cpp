#include "ringc/compiler/frontend/Parser.h"
#include "ringc/compiler/frontend/Printer.h"

#include <doctest/doctest.h>

using namespace ringc::frontend;

namespace {

/// An expression as the printer writes it: with the parentheses that its tree needs.
std::string expression(const std::string &text) {
  ParseResult result = parse({"test.tile", "function f() -> f32 { return " + text + "\n}"});
  if (!result.diagnostics.empty())
    return result.diagnostics.front().message;
  return print(*std::get<ReturnStatement>(result.module.functions.at(0)->body.at(0).node).value);
}

} // namespace

TEST_CASE("operators bind as in LANGUAGE.md") {
  CHECK(expression("(a + (b * c))") == "a + b * c");
  CHECK(expression("(a + b) * c") == "(a + b) * c");
  CHECK(expression("a - (b - c)") == "a - (b - c)");
  CHECK(expression("(a - b) - c") == "a - b - c");
  CHECK(expression("a / (b % c)") == "a / (b % c)");
  CHECK(expression("-(x^T)") == "-x^T");
  CHECK(expression("(-x)^T") == "(-x)^T");
  CHECK(expression("(-a) * b") == "-a * b");
  CHECK(expression("-(a * b)") == "-(a * b)");
  CHECK(expression("not (a == b)") == "not a == b");
  CHECK(expression("(not a) == b") == "(not a) == b");
  CHECK(expression("not not a and b") == "not not a and b");
  CHECK(expression("a or (b and c)") == "a or b and c");
  CHECK(expression("(a or b) and c") == "(a or b) and c");
  CHECK(expression("(a < b) == (c < d)") == "(a < b) == (c < d)");
  CHECK(expression("a ? b : (c ? d : e)") == "a ? b : c ? d : e");
  CHECK(expression("(a ? b : c) ? d : e") == "(a ? b : c) ? d : e");
  CHECK(expression("a or (b ? c : d)") == "a or (b ? c : d)");
  CHECK(expression("a - -2147483648") == "a - -2147483648");
}

TEST_CASE("numbers print so that they read the same") {
  CHECK(expression("1.0") == "1.0");
  CHECK(expression("2.") == "2.0");
  CHECK(expression("1e-3") == "0.001");
  CHECK(expression("1e30") == "1e+30");
  CHECK(expression(expression("1e30")) == "1e+30");
  CHECK(expression("0.1") == "0.1");
  CHECK(expression("-inf") == "-inf");
}

TEST_CASE("calls, windows and element types") {
  CHECK(expression("cast<T>(x)^T") == "cast<T>(x)^T");
  CHECK(expression("zeros<f32>[BQ, 4]") == "zeros<f32>[BQ, 4]");
  CHECK(expression("full<f32>[ BQ,1 ](-inf)") == "full<f32>[BQ, 1](-inf)");
  CHECK(expression("x[r:BM, :, c+1 : 4 else -inf]") == "x[r : BM, :, c + 1 : 4 else -inf]");
  CHECK(expression("x[a ? b : c : 4]") == "x[a ? b : c : 4]");
  CHECK(expression("derivative(score)(s, q[r : 4])") == "derivative(score)(s, q[r : 4])");
  CHECK(expression("a < b") == "a < b");
}

TEST_CASE("words of the grammar are names where a name stands") {
  ParseResult result = parse({"test.tile", R"(
function f(step: i32, over: i32, in: i32, type: f32, mask: i32, view: i32, finish: f32, resume: i32,
           kernel: i32, T: i32, if: i32, else: i32, function: i32, derivative: f32) -> f32 {
  let positions = step + over * in - mask % view
  let carry = type / finish
  let index = derivative
  return carry
}
kernel k(finish: view<f32>[M]) over step in M step 4 {
  var else = 0
  finish[step : 4] = zeros<f32>[4, 1]
  for in in 0 .. M step 4 { }
  else = 1
}
)"});
  CHECK(render(result.diagnostics) == "");
}

TEST_CASE("a statement ends where the next begins") {
  ParseResult result = parse({"test.tile", R"(
kernel k(x: view<f32>[M]) over r in M step 4 { let a = x[r : 4] let b = a
  -a
  var c = b x[r : 4] = c })"});
  REQUIRE(render(result.diagnostics) == "");
  REQUIRE(result.module.kernels.at(0)->body.size() == 4);
  CHECK(print(*std::get<LetStatement>(result.module.kernels[0]->body[1].node).value) == "a - a");
}

TEST_CASE("CRLF files are like others") {
  ParseResult result = parse(
      {"test.tile", "// comment\r\nfunction f() -> f32 {\r\n  let a = 1.0\r\n  return a\r\n}\r\n"});
  CHECK(render(result.diagnostics) == "");
}
