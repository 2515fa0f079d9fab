#include "ringc/compiler/predicate/Expression.h"

#include <charconv>
#include <cmath>

namespace ringc::predicate {

namespace {

/// How tightly a printed form binds, as in the language's grammar.
enum Precedence {
  Ternary,
  Disjunction,
  Conjunction,
  Negation,
  Comparison,
  Sum,
  Product,
  Sign,
  Atom
};

struct Printed {
  std::string text;
  Precedence precedence = Atom;
};

std::string parenthesised(const Printed &printed, Precedence atLeast) {
  return printed.precedence < atLeast ? "(" + printed.text + ")" : printed.text;
}

std::string floatText(double value) {
  if (std::isnan(value))
    return "nan";
  if (std::isinf(value))
    return value < 0 ? "-inf" : "inf";
  char buffer[32];
  auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  std::string text(buffer, end);
  return text.find_first_of(".e") == std::string::npos ? text + ".0" : text;
}

Printed printConstant(const Node &node) {
  std::string text;
  switch (node.type) {
  case ScalarType::Bool:
    return {node.integer ? "true" : "false"};
  case ScalarType::Int:
    text = std::to_string(node.integer);
    break;
  case ScalarType::Float:
    text = floatText(node.real);
    break;
  }
  return {text, text[0] == '-' ? Sign : Atom};
}

Printed printCall(std::string_view callee, const std::vector<Printed> &operands) {
  std::string text(callee);
  text += "(";
  for (size_t index = 0; index < operands.size(); ++index)
    text += (index ? ", " : "") + operands[index].text;
  return {text + ")"};
}

/// `left` and `right`: how tightly each side must bind without parentheses.
Printed printInfix(std::string_view symbol, const std::vector<Printed> &operands, Precedence own,
                   Precedence left, Precedence right) {
  return {parenthesised(operands[0], left) + " " + std::string(symbol) + " " +
              parenthesised(operands[1], right),
          own};
}

Printed print(const Node &node, const std::vector<Printed> &operands) {
  auto compare = [&](std::string_view symbol) {
    return printInfix(symbol, operands, Comparison, Sum, Sum);
  };
  switch (node.op) {
  case Op::Constant:
    return printConstant(node);
  case Op::Variable:
    return {std::string(nameOf(node.variable))};
  case Op::Parameter:
    return {node.name};
  case Op::Element: {
    std::string text = node.name + "[";
    for (size_t index = 0; index < operands.size(); ++index)
      text += (index ? ", " : "") + operands[index].text;
    return {text + "]"};
  }
  case Op::Add:
    return printInfix("+", operands, Sum, Sum, Product);
  case Op::Sub:
    return printInfix("-", operands, Sum, Sum, Product);
  case Op::Mul:
    return printInfix("*", operands, Product, Product, Sign);
  case Op::Div:
  case Op::FloorDiv:
    return printInfix("/", operands, Product, Product, Sign);
  case Op::FloorMod:
    return printInfix("%", operands, Product, Product, Sign);
  case Op::Neg:
    return {"-" + parenthesised(operands[0], Atom), Sign};
  case Op::Eq:
    return compare("==");
  case Op::Ne:
    return compare("!=");
  case Op::Lt:
    return compare("<");
  case Op::Le:
    return compare("<=");
  case Op::Gt:
    return compare(">");
  case Op::Ge:
    return compare(">=");
  case Op::And:
    return printInfix("and", operands, Conjunction, Conjunction, Negation);
  case Op::Or:
    return printInfix("or", operands, Disjunction, Disjunction, Conjunction);
  case Op::Not:
    return {"not " + parenthesised(operands[0], Negation), Negation};
  case Op::Select:
    return {parenthesised(operands[0], Disjunction) + " ? " +
                parenthesised(operands[1], Disjunction) + " : " +
                parenthesised(operands[2], Ternary),
            Ternary};
  case Op::IntToFloat:
    return printCall("f32", operands);
  case Op::FloatToInt:
    return printCall("i32", operands);
  case Op::Min:
  case Op::Max:
  case Op::Abs:
  case Op::Exp2:
  case Op::Log2:
  case Op::Tanh:
  case Op::Sqrt:
  case Op::Exp:
  case Op::Log:
  case Op::Sin:
  case Op::Cos:
  case Op::Erf:
  case Op::Random:
    return printCall(nameOf(node.op), operands);
  }
  return {};
}

} // namespace

std::string Expression::toString() const {
  std::vector<int> uses(array.size(), 0);
  for (const Node &node : array)
    for (NodeId operand : node.operands)
      ++uses[operand];

  std::string lets;
  int letCount = 0;
  std::vector<Printed> printed(array.size());
  for (size_t index = 0; index < array.size(); ++index) {
    const Node &node = array[index];
    std::vector<Printed> operands;
    for (NodeId operand : node.operands)
      operands.push_back(uses[operand] > 1 ? printed[operand] : std::move(printed[operand]));
    printed[index] = print(node, operands);
    if (uses[index] > 1 && !node.operands.empty()) {
      std::string name = "t" + std::to_string(letCount++);
      lets += "let " + name + " = " + printed[index].text + "; ";
      printed[index] = {name};
    }
  }
  return lets + printed.back().text;
}

} // namespace ringc::predicate
