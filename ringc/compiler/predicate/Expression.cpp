#include "ringc/compiler/predicate/Expression.h"

#include "ringc/support/Error.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <map>

namespace ringc::predicate {

namespace {

/// What is fixed about an operator: its name in JSON and its number of operands, -1 for Element.
struct OpFacts {
  Op op;
  std::string_view name;
  int arity;
};

constexpr std::array<OpFacts, opCount> opTable = {{
    {Op::Constant, "constant", 0},
    {Op::Variable, "variable", 0},
    {Op::Parameter, "parameter", 0},
    {Op::Element, "element", -1},
    {Op::Add, "add", 2},
    {Op::Sub, "sub", 2},
    {Op::Mul, "mul", 2},
    {Op::Div, "div", 2},
    {Op::FloorDiv, "floor_div", 2},
    {Op::FloorMod, "floor_mod", 2},
    {Op::Min, "min", 2},
    {Op::Max, "max", 2},
    {Op::Abs, "abs", 1},
    {Op::Neg, "neg", 1},
    {Op::Eq, "eq", 2},
    {Op::Ne, "ne", 2},
    {Op::Lt, "lt", 2},
    {Op::Le, "le", 2},
    {Op::Gt, "gt", 2},
    {Op::Ge, "ge", 2},
    {Op::And, "and", 2},
    {Op::Or, "or", 2},
    {Op::Not, "not", 1},
    {Op::Select, "select", 3},
    {Op::IntToFloat, "int_to_float", 1},
    {Op::FloatToInt, "float_to_int", 1},
    {Op::Exp2, "exp2", 1},
    {Op::Log2, "log2", 1},
    {Op::Tanh, "tanh", 1},
    {Op::Sqrt, "sqrt", 1},
    {Op::Exp, "exp", 1},
    {Op::Log, "log", 1},
    {Op::Sin, "sin", 1},
    {Op::Cos, "cos", 1},
    {Op::Erf, "erf", 1},
    {Op::Random, "random", 5},
}};

constexpr bool inEnumOrder() {
  for (int index = 0; index < opCount; ++index)
    if (opTable[index].op != static_cast<Op>(index))
      return false;
  return true;
}
static_assert(inEnumOrder());

constexpr std::array<std::string_view, 3> typeNames = {"i32", "f32", "bool"};
constexpr std::array<std::string_view, variableCount> variableNames = {"b", "h",         "i",
                                                                       "j", "query_row", "key_row"};

template <class Enum, size_t size>
std::optional<Enum> parse(const std::array<std::string_view, size> &names, std::string_view name) {
  auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end())
    return std::nullopt;
  return static_cast<Enum>(found - names.begin());
}

[[noreturn]] void reject(size_t index, const Node &node, const std::string &problem) {
  throw InputError("expression node " + std::to_string(index) + " (" +
                   std::string(nameOf(node.op)) + "): " + problem);
}

std::string listOf(std::span<const ScalarType> types) {
  std::string text;
  for (ScalarType type : types)
    text += (text.empty() ? "" : ", ") + std::string(nameOf(type));
  return "(" + text + ")";
}

void validateLeaf(size_t index, const Node &node) {
  if (node.op == Op::Constant && node.type == ScalarType::Int &&
      (node.integer < std::numeric_limits<int32_t>::min() ||
       node.integer > std::numeric_limits<int32_t>::max()))
    reject(index, node, "got " + std::to_string(node.integer) + ", allowed: a 32-bit integer");
  if (node.op == Op::Constant && node.type == ScalarType::Bool && node.integer != 0 &&
      node.integer != 1)
    reject(index, node, "got " + std::to_string(node.integer) + ", allowed: true or false");
  if (node.op == Op::Variable && node.type != ScalarType::Int)
    reject(index, node, "a variable is an i32");
  if ((node.op == Op::Parameter || node.op == Op::Element) && node.name.empty())
    reject(index, node, "the name is empty");
}

} // namespace

std::string_view nameOf(ScalarType type) { return typeNames[static_cast<size_t>(type)]; }
std::string_view nameOf(Variable variable) { return variableNames[static_cast<size_t>(variable)]; }
std::string_view nameOf(Op op) { return opTable[static_cast<size_t>(op)].name; }

std::optional<ScalarType> parseScalarType(std::string_view name) {
  return parse<ScalarType>(typeNames, name);
}
std::optional<Variable> parseVariable(std::string_view name) {
  return parse<Variable>(variableNames, name);
}
std::optional<Op> parseOp(std::string_view name) {
  auto found = std::find_if(opTable.begin(), opTable.end(),
                            [&](const OpFacts &facts) { return facts.name == name; });
  if (found == opTable.end())
    return std::nullopt;
  return found->op;
}

std::optional<ScalarType> resultType(Op op, std::span<const ScalarType> operands) {
  constexpr ScalarType intType = ScalarType::Int, floatType = ScalarType::Float,
                       boolType = ScalarType::Bool;
  if (static_cast<int>(operands.size()) != opTable[static_cast<size_t>(op)].arity)
    return std::nullopt;
  auto all = [&](ScalarType type) {
    return std::all_of(operands.begin(), operands.end(), [&](ScalarType t) { return t == type; });
  };
  auto given = [](bool holds, ScalarType type) {
    return holds ? std::optional(type) : std::nullopt;
  };
  switch (op) {
  case Op::Constant:
  case Op::Variable:
  case Op::Parameter:
  case Op::Element:
    return std::nullopt;
  case Op::Add:
  case Op::Sub:
  case Op::Mul:
  case Op::Min:
  case Op::Max:
  case Op::Abs:
  case Op::Neg:
    return given(all(intType) || all(floatType), operands[0]);
  case Op::FloorDiv:
  case Op::FloorMod:
    return given(all(intType), intType);
  case Op::Eq:
  case Op::Ne:
    return given(operands[0] == operands[1], boolType);
  case Op::Lt:
  case Op::Le:
  case Op::Gt:
  case Op::Ge:
    return given(all(intType) || all(floatType), boolType);
  case Op::And:
  case Op::Or:
  case Op::Not:
    return given(all(boolType), boolType);
  case Op::Select:
    return given(operands[0] == boolType && operands[1] == operands[2], operands[1]);
  case Op::IntToFloat:
    return given(all(intType), floatType);
  case Op::FloatToInt:
    return given(all(floatType), intType);
  case Op::Div:
  case Op::Exp2:
  case Op::Log2:
  case Op::Tanh:
  case Op::Sqrt:
  case Op::Exp:
  case Op::Log:
  case Op::Sin:
  case Op::Cos:
  case Op::Erf:
    return given(all(floatType), floatType);
  case Op::Random:
    return given(all(intType), floatType);
  }
  return std::nullopt;
}

static uint64_t bitsOf(double value) {
  return std::bit_cast<uint64_t>(std::isnan(value) ? std::numeric_limits<double>::quiet_NaN()
                                                   : value);
}

bool Node::operator==(const Node &other) const {
  return op == other.op && type == other.type && operands == other.operands &&
         integer == other.integer && bitsOf(real) == bitsOf(other.real) &&
         variable == other.variable && name == other.name && axes == other.axes;
}

void validate(std::span<const Node> nodes) {
  if (nodes.empty() || nodes.size() > Expression::maxNodes)
    throw InputError("expression nodes", std::to_string(nodes.size()),
                     "1 to " + std::to_string(Expression::maxNodes));
  std::map<std::string_view, const Node *> declared;
  for (size_t index = 0; index < nodes.size(); ++index) {
    const Node &node = nodes[index];
    std::vector<ScalarType> types;
    for (NodeId operand : node.operands) {
      if (operand < 0 || static_cast<size_t>(operand) >= index)
        reject(index, node, "operand " + std::to_string(operand) + " is not an earlier node");
      types.push_back(nodes[operand].type);
    }
    if (node.op == Op::Parameter || node.op == Op::Element) {
      const Node *first = declared.emplace(node.name, &node).first->second;
      if (first->op != node.op || first->type != node.type || first->axes != node.axes)
        reject(index, node, "'" + node.name + "' appears with two types");
    }
    validateLeaf(index, node);
    if (node.op == Op::Element) {
      if (types != std::vector(node.axes.size(), ScalarType::Int))
        reject(index, node,
               "'" + node.name + "' takes " + std::to_string(node.axes.size()) +
                   " i32 indices, got " + listOf(types));
    } else if (!isOperator(node.op)) {
      if (!types.empty())
        reject(index, node, "takes no operands");
    } else if (resultType(node.op, types) != node.type) {
      reject(index, node,
             "does not take " + listOf(types) + " to " + std::string(nameOf(node.type)));
    }
  }
}

Expression::Expression(std::vector<Node> nodes) : array(std::move(nodes)) { validate(array); }

} // namespace ringc::predicate
