#include "RandomExpression.h"

#include "ringc/compiler/predicate/ExpressionJson.h"
#include "ringc/support/Error.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

using namespace ringc::predicate;
using nlohmann::json;
using ringc::predicate::testing::RandomExpression;

TEST_CASE("every name has its inverse") {
  for (int index = 0; index < opCount; ++index)
    CHECK(parseOp(nameOf(static_cast<Op>(index))) == static_cast<Op>(index));
  for (int index = 0; index < variableCount; ++index)
    CHECK(parseVariable(nameOf(static_cast<Variable>(index))) == static_cast<Variable>(index));
  for (ScalarType type : {ScalarType::Int, ScalarType::Float, ScalarType::Bool})
    CHECK(parseScalarType(nameOf(type)) == type);
  CHECK(!parseOp("xor"));
}

TEST_CASE("expressions print as the language writes them") {
  Builder builder;
  Term i = Term::of(builder, Variable::QueryPosition), j = Term::of(builder, Variable::KeyPosition);
  Term h = Term::of(builder, Variable::Head);
  Term step(builder, builder.parameter("dilated.step", ScalarType::Int));
  Term reach(builder, builder.element("dilated.reach", ScalarType::Int, {"H"}, {h.node()}));
  CHECK(((i - j) % step == 0 && i - j < reach).build().toString() ==
        "let t0 = i - j; t0 % dilated.step == 0 and t0 < dilated.reach[h]");
  CHECK((!(j <= i) || -(i + 1) - (j - 2) > 3).build().toString() ==
        "not j <= i or -(i + 1) - (j - 2) > 3");
  CHECK(((i < j).select(i, j) == i.apply(Op::Min, j)).build().toString() ==
        "(i < j ? i : j) == min(i, j)");
  CHECK((i.apply(Op::IntToFloat) * 0.5 < 2.0).build().toString() == "f32(i) * 0.5 < 2.0");
}

TEST_CASE("equal expressions are equal however they were built") {
  Builder first, second;
  second.constant(int64_t(99));
  auto causal = [](Builder &builder) {
    return (Term::of(builder, Variable::KeyPosition) <= Term::of(builder, Variable::QueryPosition))
        .build();
  };
  CHECK(causal(first) == causal(second));
  CHECK(causal(first).nodes().size() == 3);
}

TEST_CASE("JSON keeps every expression") {
  std::mt19937 random(3);
  for (int trial = 0; trial < 2000; ++trial) {
    Expression expression = RandomExpression(random).mask(trial % 6);
    CHECK(expressionFromJson(json::parse(toJson(expression).dump())) == expression);
  }
  for (double value : {1.0 / 0.0, -1.0 / 0.0, 0.0 / 0.0, -0.0, 0.1}) {
    Builder builder;
    Expression constant = builder.build(builder.constant(value));
    CHECK(expressionFromJson(json::parse(toJson(constant).dump())) == constant);
  }
}

TEST_CASE("JSON from anywhere is checked") {
  auto message = [](const char *text) -> std::string {
    try {
      expressionFromJson(json::parse(text));
    } catch (const ringc::InputError &error) {
      return error.what();
    }
    return "";
  };
  CHECK(message("{}") == "expression: got a JSON object, allowed: an array of nodes");
  CHECK(message("[]") == "expression nodes: got 0, allowed: 1 to 10000");
  CHECK(message("[1]") == "expression node 0: got 1, allowed: an object with the field \"op\"");
  CHECK(message(R"([{"op": "xor"}])") ==
        "expression node 0: op: got \"xor\", which is no operator");
  CHECK(message(R"([{"op": "variable", "name": "k"}])") ==
        "expression node 0: name: got \"k\", allowed: b, h, i, j, query_row, key_row");
  CHECK(message(R"([{"op": "variable"}])") == "expression node 0: the field \"name\" is missing");
  CHECK(message(R"([{"op": "variable", "name": "i", "x": 1}])") ==
        "expression node 0: unknown field \"x\"");
  CHECK(message(R"([{"op": "constant", "type": "i32", "value": 2147483648}])") ==
        "expression node 0: value: got 2147483648, allowed: a 32-bit integer");
  CHECK(message(R"([{"op": "constant", "type": "i32", "value": -2147483649}])") ==
        "expression node 0 (constant): got -2147483649, allowed: a 32-bit integer");
  CHECK(message(R"([{"op": "constant", "type": "bool", "value": 1}])") ==
        "expression node 0: value: got 1, allowed: true, false");
  CHECK(message(R"([{"op": "not", "args": [0]}])") ==
        "expression node 0: args: got 0, allowed: indices of earlier nodes");
  CHECK(message(R"([{"op": "variable", "name": "i"}, {"op": "not", "args": [0]}])") ==
        "expression node 1 (not): does not take (i32) to i32");
  CHECK(message(R"([{"op": "variable", "name": "i"}, {"op": "add", "args": [0]}])") ==
        "expression node 1 (add): does not take (i32) to i32");
  CHECK(message(R"([{"op": "variable", "name": "i"},
                    {"op": "element", "name": "t", "type": "i32", "axes": ["H", "Nk"], "args": [0]}])") ==
        "expression node 1 (element): 't' takes 2 i32 indices, got (i32)");
  CHECK(message(R"([{"op": "parameter", "name": "p", "type": "i32"},
                    {"op": "parameter", "name": "p", "type": "f32"}])") ==
        "expression node 1 (parameter): 'p' appears with two types");
  CHECK(message(R"([{"op": "parameter", "name": "", "type": "i32"}])") ==
        "expression node 0 (parameter): the name is empty");
}

TEST_CASE("a damaged JSON text is refused or well formed, never worse") {
  std::mt19937 random(4);
  for (int trial = 0; trial < 3000; ++trial) {
    std::string text = toJson(RandomExpression(random).mask(3)).dump();
    for (int change = 0; change < 2; ++change)
      text[random() % text.size()] = "0129[]{},\":ijadx-"[random() % 17];
    json parsed = json::parse(text, nullptr, false);
    if (parsed.is_discarded())
      continue;
    std::string printed;
    try {
      printed = expressionFromJson(parsed).toString();
    } catch (const ringc::InputError &error) {
      printed = error.what();
    }
    CHECK(!printed.empty());
  }
}
