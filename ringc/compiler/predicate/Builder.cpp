#include "ringc/compiler/predicate/Builder.h"

#include <algorithm>
#include <cassert>

namespace ringc::predicate {

NodeId Builder::add(Node node) {
  auto found = std::find(nodes.begin(), nodes.end(), node);
  if (found != nodes.end())
    return static_cast<NodeId>(found - nodes.begin());
  nodes.push_back(std::move(node));
  return static_cast<NodeId>(nodes.size() - 1);
}

NodeId Builder::constant(int64_t value) {
  return add({.op = Op::Constant, .type = ScalarType::Int, .integer = value});
}
NodeId Builder::constant(double value) {
  return add({.op = Op::Constant, .type = ScalarType::Float, .real = value});
}
NodeId Builder::constant(bool value) {
  return add({.op = Op::Constant, .type = ScalarType::Bool, .integer = value});
}
NodeId Builder::variable(Variable variable) {
  return add({.op = Op::Variable, .type = ScalarType::Int, .variable = variable});
}
NodeId Builder::parameter(std::string name, ScalarType type) {
  return add({.op = Op::Parameter, .type = type, .name = std::move(name)});
}
NodeId Builder::element(std::string name, ScalarType type, std::vector<std::string> axes,
                        std::vector<NodeId> indices) {
  return add({.op = Op::Element,
              .type = type,
              .operands = std::move(indices),
              .name = std::move(name),
              .axes = std::move(axes)});
}

NodeId Builder::apply(Op op, std::vector<NodeId> operands) {
  std::vector<ScalarType> types;
  for (NodeId operand : operands)
    types.push_back(typeOf(operand));
  auto type = resultType(op, types);
  assert(type && "operand types do not fit the operator");
  return add({.op = op, .type = type.value(), .operands = std::move(operands)});
}

Expression Builder::build(NodeId root) const {
  std::vector<char> needed(root + 1, 0);
  needed[root] = 1;
  for (NodeId id = root; id >= 0; --id)
    if (needed[id])
      for (NodeId operand : nodes[id].operands)
        needed[operand] = 1;

  std::vector<Node> kept;
  std::vector<NodeId> renamed(root + 1, -1);
  for (NodeId id = 0; id <= root; ++id) {
    if (!needed[id])
      continue;
    renamed[id] = static_cast<NodeId>(kept.size());
    kept.push_back(nodes[id]);
    for (NodeId &operand : kept.back().operands)
      operand = renamed[operand];
  }
  return Expression(std::move(kept));
}

Term Term::literal(double value) const {
  switch (builder->typeOf(id)) {
  case ScalarType::Int:
    return {*builder, builder->constant(static_cast<int64_t>(value))};
  case ScalarType::Float:
    return {*builder, builder->constant(value)};
  case ScalarType::Bool:
    return {*builder, builder->constant(value != 0)};
  }
  return *this;
}

} // namespace ringc::predicate
