#include "RandomExpression.h"

#include <array>

namespace ringc::predicate::testing {

NodeId RandomExpression::leaf(ScalarType type) {
  switch (type) {
  case ScalarType::Int:
    switch (below(6)) {
    case 0: {
      constexpr std::array<int64_t, 8> constants = {0, 1, 2, 3, 7, -1, -4, 2147483647};
      return builder.constant(constants[below(8)]);
    }
    case 1:
      return builder.parameter("p", type);
    case 2: {
      NodeId head = builder.variable(Variable::Head);
      return builder.element("table", type, {"H", "Nk"},
                             {head, builder.variable(Variable::KeyRow)});
    }
    default:
      return builder.variable(static_cast<Variable>(below(variableCount)));
    }
  case ScalarType::Float: {
    constexpr std::array<double, 7> constants = {0, 1, 0.1, -2.5, 64, 1e30, -1e-30};
    switch (below(4)) {
    case 0:
      return builder.constant(constants[below(7)]);
    case 1:
      return builder.parameter("x", type);
    case 2:
      return builder.element("slope", type, {"H"}, {builder.variable(Variable::Head)});
    default:
      return builder.apply(Op::IntToFloat, {leaf(ScalarType::Int)});
    }
  }
  case ScalarType::Bool:
    switch (below(4)) {
    case 0:
      return builder.constant(below(2) == 0);
    case 1:
      return builder.parameter("flag", type);
    default:
      return builder.element("keep", type, {"Nk"}, {builder.variable(Variable::KeyRow)});
    }
  }
  return 0;
}

NodeId RandomExpression::draw(ScalarType type, int depth) {
  if (depth == 0)
    return leaf(type);
  auto operand = [&](ScalarType operandType) { return draw(operandType, below(depth)); };
  // Any operator that gives this type: draw until one does.
  for (;;) {
    Op op = static_cast<Op>(below(opCount));
    if (!isOperator(op))
      continue;
    ScalarType operandType = static_cast<ScalarType>(below(3));
    for (size_t count = 1; count <= 2; ++count) {
      std::vector<ScalarType> types(count, operandType);
      if (resultType(op, types) != type)
        continue;
      std::vector<NodeId> operands;
      for (size_t index = 0; index < count; ++index)
        operands.push_back(operand(operandType));
      return builder.apply(op, operands);
    }
    if (op == Op::Random && type == ScalarType::Float) {
      std::vector<NodeId> operands;
      for (int index = 0; index < 5; ++index)
        operands.push_back(operand(ScalarType::Int));
      return builder.apply(op, operands);
    }
    if (op == Op::Select && below(4) == 0) {
      NodeId condition = operand(ScalarType::Bool), then = operand(type);
      return builder.apply(op, {condition, then, operand(type)});
    }
  }
}

} // namespace ringc::predicate::testing
