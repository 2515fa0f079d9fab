#include "ringc/compiler/predicate/FloorDivision.h"
#include "ringc/compiler/predicate/Philox.h"
#include "ringc/compiler/predicate/Visibility.h"
#include "ringc/support/Error.h"

#include <array>
#include <cmath>
#include <limits>

namespace ringc::predicate {

namespace {

int64_t wrap(int64_t value) { return static_cast<int32_t>(static_cast<uint32_t>(value)); }

int64_t saturated(float value) {
  using Limits = std::numeric_limits<int32_t>;
  if (value >= 0x1p31f)
    return Limits::max();
  return value >= -0x1p31f ? static_cast<int64_t>(value) : Limits::min();
}

/// An i32 (or a bool as 0 and 1) or an f32; written apart from Interval.h's HostScalar, whose
/// results it is there to check.
struct Value {
  int64_t integer = 0;
  float real = 0;
};

Value fromScalar(const ScalarValue &value, ScalarType type, const std::string &name) {
  if (type == ScalarType::Float) {
    if (const double *real = std::get_if<double>(&value))
      return {.real = static_cast<float>(*real)};
    if (const int64_t *integer = std::get_if<int64_t>(&value))
      return {.real = static_cast<float>(*integer)};
  }
  if (const int64_t *integer = std::get_if<int64_t>(&value); integer && type == ScalarType::Int)
    return {.integer = wrap(*integer)};
  if (const bool *truth = std::get_if<bool>(&value); truth && type == ScalarType::Bool)
    return {.integer = *truth};
  throw InputError(name + ": allowed: a value of type " + std::string(nameOf(type)));
}

ScalarValue toScalar(const Value &value, ScalarType type) {
  switch (type) {
  case ScalarType::Int:
    return value.integer;
  case ScalarType::Float:
    return static_cast<double>(value.real);
  case ScalarType::Bool:
    return value.integer != 0;
  }
  return value.integer;
}

Value truth(bool value) { return {.integer = value}; }

Value applyInt(Op op, int64_t a, int64_t b) {
  switch (op) {
  case Op::Add:
    return {.integer = wrap(a + b)};
  case Op::Sub:
    return {.integer = wrap(a - b)};
  case Op::Mul:
    return {.integer = wrap(a * b)};
  case Op::FloorDiv:
    return {.integer = b == 0 ? 0 : wrap(floorDivision(a, b))};
  case Op::FloorMod:
    return {.integer = b == 0 ? 0 : floorRemainder(a, b)};
  case Op::Min:
    return {.integer = std::min(a, b)};
  case Op::Max:
    return {.integer = std::max(a, b)};
  case Op::Abs:
    return {.integer = wrap(a < 0 ? -a : a)};
  case Op::Neg:
    return {.integer = wrap(-a)};
  case Op::Eq:
    return truth(a == b);
  case Op::Ne:
    return truth(a != b);
  case Op::Lt:
    return truth(a < b);
  case Op::Le:
    return truth(a <= b);
  case Op::Gt:
    return truth(a > b);
  case Op::Ge:
    return truth(a >= b);
  case Op::And:
    return truth(a && b);
  case Op::Or:
    return truth(a || b);
  case Op::Not:
    return truth(!a);
  case Op::IntToFloat:
    return {.real = static_cast<float>(a)};
  case Op::Constant:
  case Op::Variable:
  case Op::Parameter:
  case Op::Element:
  case Op::Select:
  case Op::Div:
  case Op::FloatToInt:
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
    break;
  }
  return {};
}

Value applyFloat(Op op, float a, float b) {
  switch (op) {
  case Op::Add:
    return {.real = a + b};
  case Op::Sub:
    return {.real = a - b};
  case Op::Mul:
    return {.real = a * b};
  case Op::Div:
    return {.real = a / b};
  case Op::Min:
    return {.real = std::fmin(a, b)};
  case Op::Max:
    return {.real = std::fmax(a, b)};
  case Op::Abs:
    return {.real = std::fabs(a)};
  case Op::Neg:
    return {.real = -a};
  case Op::Eq:
    return truth(a == b);
  case Op::Ne:
    return truth(a != b);
  case Op::Lt:
    return truth(a < b);
  case Op::Le:
    return truth(a <= b);
  case Op::Gt:
    return truth(a > b);
  case Op::Ge:
    return truth(a >= b);
  case Op::FloatToInt:
    return {.integer = saturated(a)};
  case Op::Exp2:
    return {.real = std::exp2(a)};
  case Op::Log2:
    return {.real = std::log2(a)};
  case Op::Tanh:
    return {.real = std::tanh(a)};
  case Op::Sqrt:
    return {.real = std::sqrt(a)};
  case Op::Exp:
    return {.real = std::exp(a)};
  case Op::Log:
    return {.real = std::log(a)};
  case Op::Sin:
    return {.real = std::sin(a)};
  case Op::Cos:
    return {.real = std::cos(a)};
  case Op::Erf:
    return {.real = std::erf(a)};
  case Op::Constant:
  case Op::Variable:
  case Op::Parameter:
  case Op::Element:
  case Op::Select:
  case Op::FloorDiv:
  case Op::FloorMod:
  case Op::And:
  case Op::Or:
  case Op::Not:
  case Op::IntToFloat:
  case Op::Random:
    break;
  }
  return {};
}

} // namespace

ScalarValue evaluateAt(const Expression &expression, const Point &point,
                       const ParameterValues &parameters, const ElementValue &elementValue) {
  const std::array<int64_t, variableCount> variables = {point.batch,         point.head,
                                                        point.queryPosition, point.keyPosition,
                                                        point.queryRow,      point.keyRow};
  const std::vector<Node> &nodes = expression.nodes();
  std::vector<Value> values(nodes.size());
  for (size_t index = 0; index < nodes.size(); ++index) {
    const Node &node = nodes[index];
    Value &result = values[index];
    auto operand = [&](size_t which) { return values[node.operands[which]]; };
    if (node.op == Op::Constant) {
      result = {.integer = node.integer, .real = static_cast<float>(node.real)};
    } else if (node.op == Op::Variable) {
      result = {.integer = variables[static_cast<size_t>(node.variable)]};
    } else if (node.op == Op::Parameter) {
      auto found = parameters.find(node.name);
      if (found == parameters.end())
        throw InputError("parameter " + node.name + ": no value was given");
      result = fromScalar(found->second, node.type, node.name);
    } else if (node.op == Op::Element) {
      if (!elementValue)
        throw InputError("view " + node.name + ": no elements were given");
      std::vector<int64_t> indices;
      for (size_t axis = 0; axis < node.operands.size(); ++axis)
        indices.push_back(operand(axis).integer);
      result = fromScalar(elementValue(node, indices), node.type, node.name);
    } else if (node.op == Op::Select) {
      result = operand(0).integer ? operand(1) : operand(2);
    } else if (node.op == Op::Random) {
      result = {.real = uniformAt(operand(0).integer, operand(1).integer, operand(2).integer,
                                  operand(3).integer, operand(4).integer)};
    } else {
      Value a = operand(0), b = operand(node.operands.size() - 1);
      bool isFloat = nodes[node.operands[0]].type == ScalarType::Float;
      result =
          isFloat ? applyFloat(node.op, a.real, b.real) : applyInt(node.op, a.integer, b.integer);
    }
  }
  return toScalar(values.back(), expression.type());
}

} // namespace ringc::predicate
