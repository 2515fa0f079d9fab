// Every operator and builtin at the edges of its types, as LANGUAGE.md has it: in compiled code,
// where constants are folded, in the interpreter that verifies, and in the expression that plans
// ask.

#include "tests/attention/AttentionCase.h"

#include "ringc/attention/shared/Options.h"
#include "ringc/compiler/predicate/Visibility.h"
#include "tools/ringc/Interpreter.h"

#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <vector>

using namespace ringc;
using namespace ringc::test;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float none = std::numeric_limits<float>::quiet_NaN();
constexpr int32_t least = std::numeric_limits<int32_t>::min();
constexpr int32_t most = std::numeric_limits<int32_t>::max();

const std::vector<int32_t> integers = {least, least + 1, -65536, -7, -2,         -1,    0,
                                       1,     2,         3,      7,  1000000007, 65536, most};
const std::vector<float> reals = {
    none, infinity, -infinity,  0.0F,         -0.0F,         0.5F, -0.5F, 1.5F,  -2.75F, 7.0F,
    200,  -200,     2147483520, 2147483648.F, -2147483648.F, 3e9F, -3e9F, 1e30F, -1e30F, 3e38F};

int32_t wrapped(int64_t value) { return static_cast<int32_t>(static_cast<uint64_t>(value)); }
int64_t quotient(int64_t a, int64_t b) {
  return b == 0 ? 0 : a / b - (a % b != 0 && (a < 0) != (b < 0));
}
int32_t remainder(int64_t a, int64_t b) { return b == 0 ? 0 : wrapped(a - b * quotient(a, b)); }
int32_t toInteger(float x) {
  return x >= 2147483648.F ? most : x >= -2147483648.F ? static_cast<int32_t>(x) : least;
}

template <typename T> HostTensor tensorOf(const std::vector<T> &values, DType dtype) {
  HostTensor tensor(dtype, {static_cast<int64_t>(values.size())});
  std::copy(values.begin(), values.end(), tensor.dataAs<T>());
  return tensor;
}

/// What `expression` gives for all pairs of operands: a[i] and c[j], or x[i] and y[j].
template <typename Result> struct Operator {
  const char *expression;
  std::function<Result(size_t i, size_t j)> value;
};

constexpr std::string_view functions = R"(
function same(p: f32, q: f32) -> bool { return p == q or (p != p and q != q) }
function number(truth: bool) -> i32 { return truth ? 1 : 0 }
)";

struct Holds {
  bool compiled, interpreted, evaluated, bounded;
  bool operator==(const Holds &) const = default;
};
constexpr Holds everywhere = {true, true, true, true};

doctest::String toString(const Holds &holds) {
  auto word = [](bool truth) { return truth ? "yes" : "NO"; };
  return (std::string("compiled ") + word(holds.compiled) + ", interpreted " +
          word(holds.interpreted) + ", evaluated " + word(holds.evaluated) + ", bounded " +
          word(holds.bounded))
      .c_str();
}

/// Whether the mask `seen` of a text holds for all of n_q x n_k pairs, in each of the ways to ask.
Holds holds(const std::string &text, int64_t queries, int64_t keys,
            std::map<std::string, ArgumentValue> arguments) {
  AttentionOptions options =
      completed({.headDim = 8, .masks = {{.file = "mine.tile", .name = "seen", .text = text}}});
  HostTensor q(DType::F32, {1, queries, 1, 8}), k(DType::F32, {1, keys, 1, 8});
  AttentionInputs inputs{.q = q, .k = k, .v = k};
  inputs.arguments = std::move(arguments);
  std::fill_n(q.dataAs<float>(), q.elementCount(), 0.0F);
  std::fill_n(k.dataAs<float>(), k.elementCount(), 0.0F);

  Holds all = everywhere;
  HostAttentionRing ring(options, 1, context());
  HostAttentionRing::Forward forward = ring.forward(inputs);
  for (int64_t i = 0; i < queries; ++i) // of so many equal logits
    all.compiled &=
        std::abs(forward.lse.dataAs<float>()[i] - std::log(static_cast<float>(keys))) < 1e-3F;

  reference::Problem problem;
  cli::Interpreter interpreter(options, inputs);
  interpreter.addTo(problem);
  HostCode code = context().kernels->get(specOf(options, 1, inputs, "attention_forward"),
                                         context().kernels->sources(userSources(options)));
  bool folded = !code.kernel->mask; // to one that is always true
  int64_t shift = keys - queries;
  for (int64_t row = 0; row < queries; ++row)
    for (int64_t j = 0; j < keys; ++j) {
      all.interpreted &= problem.mask.predicate(0, 0, row + shift, j);
      if (folded)
        continue;
      auto element = [&](const predicate::Node &node,
                         std::span<const int64_t> index) -> predicate::ScalarValue {
        const Tensor &tensor =
            std::get<Tensor>(inputs.arguments.at(node.name.substr(node.name.find('.') + 1)));
        const std::byte *at = tensor.at(index);
        if (tensor.dtype() == DType::I32)
          return static_cast<int64_t>(*reinterpret_cast<const int32_t *>(at));
        return static_cast<double>(*reinterpret_cast<const float *>(at));
      };
      predicate::Point point{
          .queryPosition = row + shift, .keyPosition = j, .queryRow = row, .keyRow = j};
      all.evaluated &= std::get<bool>(evaluateAt(*code.kernel->mask, point, {}, element));
      predicate::Box box{.queryPosition = {row + shift, row + shift},
                         .keyPosition = {j, j},
                         .queryRow = {row, row},
                         .keyRow = {j, j}};
      auto bounds = [&](const predicate::Node &node, std::span<const predicate::Range> ranges) {
        std::vector<int64_t> index;
        for (const predicate::Range &range : ranges)
          index.push_back(range.low);
        predicate::ScalarValue value = element(node, index);
        double number = std::holds_alternative<double>(value)
                            ? std::get<double>(value)
                            : static_cast<double>(std::get<int64_t>(value));
        return std::optional(predicate::ElementBounds{number, number});
      };
      all.bounded &= visibility(*code.kernel->mask, box, {}, bounds) != predicate::Visibility::None;
    }
  return all;
}

template <typename Result>
void check(const Operator<Result> &op, bool ofReals, size_t rows, size_t columns) {
  constexpr bool real = std::is_same_v<Result, float>;
  std::string operands =
      ofReals ? "x: view<f32>[Nq], y: view<f32>[Nk]" : "a: view<i32>[Nq], c: view<i32>[Nk]";
  std::string text = std::string(functions) + "mask seen(b: index, h: index, i: index, j: index, " +
                     operands + ", want: view<" + (real ? "f32" : "i32") +
                     ">[Nq, Nk]) {\n  return " +
                     (real ? "same(" + std::string(op.expression) + ", want[i, j])"
                           : std::string(op.expression) + " == want[i, j]") +
                     "\n}\n";
  CAPTURE(op.expression);
  HostTensor want(real ? DType::F32 : DType::I32,
                  {static_cast<int64_t>(rows), static_cast<int64_t>(columns)});
  for (size_t i = 0; i < rows; ++i)
    for (size_t j = 0; j < columns; ++j)
      want.dataAs<Result>()[i * columns + j] = op.value(i, j);
  HostTensor one = ofReals ? tensorOf(reals, DType::F32) : tensorOf(integers, DType::I32);
  Tensor left = one.view().slice(0, 0, static_cast<int64_t>(rows)),
         right = one.view().slice(0, 0, static_cast<int64_t>(columns));
  CHECK(holds(text, static_cast<int64_t>(rows), static_cast<int64_t>(columns),
              {{ofReals ? "x" : "a", left}, {ofReals ? "y" : "c", right}, {"want", want.view()}}) ==
        everywhere);
}

} // namespace

TEST_CASE("operators on integers wrap, divide downwards, and convert") {
  auto a = [](size_t at) { return int64_t{integers[at]}; };
  const std::vector<Operator<int32_t>> operators = {
      {"a[i] + c[j]", [=](size_t i, size_t j) { return wrapped(a(i) + a(j)); }},
      {"a[i] - c[j]", [=](size_t i, size_t j) { return wrapped(a(i) - a(j)); }},
      {"a[i] * c[j]", [=](size_t i, size_t j) { return wrapped(a(i) * a(j)); }},
      {"a[i] / c[j]", [=](size_t i, size_t j) { return wrapped(quotient(a(i), a(j))); }},
      {"a[i] % c[j]", [=](size_t i, size_t j) { return remainder(a(i), a(j)); }},
      {"min(a[i], c[j])", [=](size_t i, size_t j) { return wrapped(std::min(a(i), a(j))); }},
      {"max(a[i], c[j])", [=](size_t i, size_t j) { return wrapped(std::max(a(i), a(j))); }},
      {"abs(a[i]) + 0 * c[j]", [=](size_t i, size_t) { return wrapped(std::abs(a(i))); }},
      {"0 * a[i] - c[j]", [=](size_t, size_t j) { return wrapped(-a(j)); }},
      {"-a[i] + 0 * c[j]", [=](size_t i, size_t) { return wrapped(-a(i)); }},
      {"number(a[i] < c[j]) + 2 * number(a[i] >= c[j]) + 4 * number(a[i] == c[j])",
       [=](size_t i, size_t j) { return (a(i) < a(j) ? 1 : 2) + (a(i) == a(j) ? 4 : 0); }},
      {"a[i] / -1 + 0 * c[j]", [=](size_t i, size_t) { return wrapped(-a(i)); }},
      {"a[i] % -1 + a[i] % 0 + a[i] / 0 + 0 * c[j]", [=](size_t, size_t) { return 0; }},
      {"a[i] / 7 + c[j] % -7",
       [=](size_t i, size_t j) { return wrapped(quotient(a(i), 7) + remainder(a(j), -7)); }},
  };
  for (const Operator<int32_t> &op : operators)
    check(op, false, integers.size(), integers.size());
  check(Operator<float>{"f32(a[i]) + 0.0 * f32(c[j])",
                        [=](size_t i, size_t) { return static_cast<float>(a(i)); }},
        false, integers.size(), integers.size());
}

TEST_CASE("operators on floats keep to IEEE, NaN included") {
  auto x = [](size_t at) { return reals[at]; };
  const std::vector<Operator<float>> operators = {
      {"x[i] + y[j]", [=](size_t i, size_t j) { return x(i) + x(j); }},
      {"x[i] - y[j]", [=](size_t i, size_t j) { return x(i) - x(j); }},
      {"x[i] * y[j]", [=](size_t i, size_t j) { return x(i) * x(j); }},
      {"x[i] / y[j]", [=](size_t i, size_t j) { return x(i) / x(j); }},
      {"min(x[i], y[j])", [=](size_t i, size_t j) { return std::fmin(x(i), x(j)); }},
      {"max(x[i], y[j])", [=](size_t i, size_t j) { return std::fmax(x(i), x(j)); }},
      {"max(min(-x[i], y[j]), abs(x[i]))",
       [=](size_t i, size_t j) { return std::fmax(std::fmin(-x(i), x(j)), std::abs(x(i))); }},
      {"where(x[i] < y[j], x[i], y[j])",
       [=](size_t i, size_t j) { return x(i) < x(j) ? x(i) : x(j); }},
  };
  for (const Operator<float> &op : operators)
    check(op, true, reals.size(), reals.size());
  const std::vector<Operator<int32_t>> toIntegers = {
      {"i32(x[i]) + number(y[j] != y[j])",
       [=](size_t i, size_t j) { return wrapped(int64_t{toInteger(x(i))} + std::isnan(x(j))); }},
      {"number(x[i] < y[j]) + 2 * number(x[i] <= y[j]) + 4 * number(x[i] == y[j]) + 8 * "
       "number(x[i] != y[j]) + 16 * number(x[i] >= y[j]) + 32 * number(x[i] > y[j]) + 64 * "
       "number(not (x[i] < y[j]))",
       [=](size_t i, size_t j) {
         float p = x(i), q = x(j);
         return (p < q) + 2 * (p <= q) + 4 * (p == q) + 8 * (p != q) + 16 * (p >= q) +
                32 * (p > q) + 64 * !(p < q);
       }},
  };
  for (const Operator<int32_t> &op : toIntegers)
    check(op, true, reals.size(), reals.size());
}

TEST_CASE("functions at their ends") {
  constexpr const char *text = R"(
function same(p: f32, q: f32) -> bool { return p == q or (p != p and q != q) or abs(p - q) < 0.000001 }
mask seen(b: index, h: index, i: index, j: index, x: view<f32>[Nk], e: view<f32>[Nk], l: view<f32>[Nk], t: view<f32>[Nk], s: view<f32>[Nk]) {
  return same(exp2(x[j]), e[j]) and same(log2(x[j]), l[j]) and same(tanh(x[j]), t[j]) and same(sqrt(x[j]), s[j])
}
)";
  // Values that are not rounded: tanh 1 and exp2 -200 are.
  const std::vector<float> exact = {none, infinity, -infinity, 0.0F, -0.0F, -1e30F};
  auto of = [&](auto function) {
    std::vector<float> values;
    for (float each : exact)
      values.push_back(function(each));
    return tensorOf(values, DType::F32);
  };
  HostTensor x = of([](float v) { return v; }), e = of([](float v) { return std::exp2(v); }),
             l = of([](float v) { return std::log2(v); }),
             t = of([](float v) { return std::tanh(v); }),
             s = of([](float v) { return std::sqrt(v); });
  CHECK(
      holds(
          text, 3, static_cast<int64_t>(exact.size()),
          {{"x", x.view()}, {"e", e.view()}, {"l", l.view()}, {"t", t.view()}, {"s", s.view()}}) ==
      everywhere);
}

TEST_CASE("what is folded when it is compiled is what is computed when it runs") {
  const std::vector<std::string> truths = {
      "2147483647 + 1 == -2147483648",
      "-2147483648 - 1 == 2147483647",
      "-(-2147483648) == -2147483648",
      "abs(-2147483648) == -2147483648",
      "65536 * 65536 == 0",
      "-7 / 2 == -4 and -7 % 2 == 1 and 7 / -2 == -4 and 7 % -2 == -1",
      "-2147483648 / -1 == -2147483648 and -2147483648 % -1 == 0",
      "5 / 0 == 0 and 5 % 0 == 0 and -2147483648 / 0 == 0",
      "i32(3000000000.0) == 2147483647 and i32(-3000000000.0) == -2147483648",
      "i32(inf) == 2147483647 and i32(-inf) == -2147483648 and i32(inf - inf) == -2147483648",
      "i32(2147483520.0) == 2147483520 and i32(-2.75) == -2 and i32(2.75) == 2",
      "min(inf - inf, 1.0) == 1.0 and max(1.0, inf - inf) == 1.0",
      "not (inf - inf == inf - inf) and inf - inf != inf - inf and not (inf - inf < 1.0)",
      "1.0 / 0.0 == inf and -1.0 / 0.0 == -inf and 0.0 / 0.0 != 0.0",
      "f32(16777217) == 16777216.0 and f32(2147483647) == 2147483648.0",
      "exp2(200.0) == inf and exp2(-inf) == 0.0 and log2(0.0) == -inf and log2(-1.0) != 0.0",
      "tanh(inf) == 1.0 and tanh(-1e30) == -1.0 and sqrt(-1.0) != sqrt(-1.0)",
      "3e38 * 10.0 == inf",
  };
  for (const std::string &truth : truths) {
    CAPTURE(truth);
    CHECK(holds("mask seen(b: index, h: index, i: index, j: index) { return " + truth + " }", 5, 9,
                {}) == everywhere);
  }
}
