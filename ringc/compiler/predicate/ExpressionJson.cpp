#include "ringc/compiler/predicate/ExpressionJson.h"

#include "ringc/support/Error.h"

#include <nlohmann/json.hpp>

#include <cmath>
#include <limits>
#include <set>

namespace ringc::predicate {

namespace {

using nlohmann::json;

json constantValue(const Node &node) {
  switch (node.type) {
  case ScalarType::Int:
    return node.integer;
  case ScalarType::Bool:
    return node.integer != 0;
  case ScalarType::Float:
    if (std::isnan(node.real))
      return "nan";
    if (std::isinf(node.real))
      return node.real < 0 ? "-inf" : "inf";
    return node.real;
  }
  return nullptr;
}

/// Reads one node; every failure names it.
class NodeReader {
public:
  NodeReader(const json &node, size_t position) : object(node), index(position) {
    if (!object.is_object())
      fail("got " + shortened(object) + ", allowed: an object with the field \"op\"");
  }

  Node read() {
    Node node;
    auto op = parseOp(text("op"));
    if (!op)
      fail("op: got \"" + text("op") + "\", which is no operator");
    node.op = *op;
    // The type of an operator follows from its operands: `expressionFromJson`.
    if (node.op == Op::Constant || node.op == Op::Parameter || node.op == Op::Element)
      node.type = type();
    if (node.op == Op::Parameter || node.op == Op::Element)
      node.name = text("name");
    if (node.op == Op::Constant)
      readConstant(node);
    if (node.op == Op::Variable)
      node.variable = variable();
    if (node.op == Op::Element)
      node.axes = axes();
    if (node.op == Op::Element || isOperator(node.op))
      node.operands = operands();
    for (const auto &[key, value] : object.items())
      if (!used.count(key))
        fail("unknown field \"" + key + "\"");
    return node;
  }

private:
  [[noreturn]] void fail(const std::string &problem) const {
    throw InputError("expression node " + std::to_string(index) + ": " + problem);
  }

  static std::string shortened(const json &value) {
    std::string dumped = value.dump(-1, ' ', false, json::error_handler_t::replace);
    return dumped.size() > 60 ? dumped.substr(0, 57) + "..." : dumped;
  }

  const json &field(const char *name) {
    used.insert(name);
    auto found = object.find(name);
    if (found == object.end())
      fail(std::string("the field \"") + name + "\" is missing");
    return *found;
  }
  std::string text(const char *name) {
    const json &value = field(name);
    if (!value.is_string())
      fail(std::string(name) + ": got " + shortened(value) + ", allowed: a string");
    return value.get<std::string>();
  }
  const json &array(const char *name) {
    const json &value = field(name);
    if (!value.is_array())
      fail(std::string(name) + ": got " + shortened(value) + ", allowed: an array");
    return value;
  }
  ScalarType type() {
    auto parsed = parseScalarType(text("type"));
    if (!parsed)
      fail("type: got \"" + text("type") + "\", allowed: i32, f32, bool");
    return *parsed;
  }
  Variable variable() {
    auto parsed = parseVariable(text("name"));
    if (!parsed)
      fail("name: got \"" + text("name") + "\", allowed: b, h, i, j, query_row, key_row");
    return *parsed;
  }
  std::vector<std::string> axes() {
    std::vector<std::string> names;
    for (const json &axis : array("axes")) {
      if (!axis.is_string())
        fail("axes: got " + shortened(axis) + ", allowed: names of extents");
      names.push_back(axis.get<std::string>());
    }
    return names;
  }
  std::vector<NodeId> operands() {
    std::vector<NodeId> ids;
    for (const json &value : array("args")) {
      if (!value.is_number_unsigned() || value.get<uint64_t>() >= index)
        fail("args: got " + shortened(value) + ", allowed: indices of earlier nodes");
      ids.push_back(static_cast<NodeId>(value.get<uint64_t>()));
    }
    return ids;
  }
  void readConstant(Node &node) {
    const json &value = field("value");
    auto expect = [&](bool holds, const char *allowed) {
      if (!holds)
        fail("value: got " + shortened(value) + ", allowed: " + allowed);
    };
    switch (node.type) {
    case ScalarType::Int:
      // Unsigned values beyond int64_t would wrap in the conversion.
      expect(value.is_number_integer() &&
                 (!value.is_number_unsigned() ||
                  value.get<uint64_t>() <= uint64_t(std::numeric_limits<int32_t>::max())),
             "a 32-bit integer");
      node.integer = value.get<int64_t>();
      return;
    case ScalarType::Bool:
      expect(value.is_boolean(), "true, false");
      node.integer = value.get<bool>();
      return;
    case ScalarType::Float:
      if (value == "nan")
        node.real = std::numeric_limits<double>::quiet_NaN();
      else if (value == "inf")
        node.real = std::numeric_limits<double>::infinity();
      else if (value == "-inf")
        node.real = -std::numeric_limits<double>::infinity();
      else {
        expect(value.is_number(), "a number, \"inf\", \"-inf\", \"nan\"");
        node.real = value.get<double>();
      }
      return;
    }
  }

  const json &object;
  size_t index;
  std::set<std::string> used;
};

} // namespace

json toJson(const Expression &expression) {
  json nodes = json::array();
  for (const Node &node : expression.nodes()) {
    json object = {{"op", nameOf(node.op)}};
    if (node.op == Op::Constant)
      object["value"] = constantValue(node);
    if (node.op == Op::Variable)
      object["name"] = nameOf(node.variable);
    if (node.op == Op::Parameter || node.op == Op::Element)
      object["name"] = node.name;
    if (node.op == Op::Constant || node.op == Op::Parameter || node.op == Op::Element)
      object["type"] = nameOf(node.type);
    if (node.op == Op::Element)
      object["axes"] = node.axes;
    if (!node.operands.empty() || node.op == Op::Element)
      object["args"] = node.operands;
    nodes.push_back(std::move(object));
  }
  return nodes;
}

Expression expressionFromJson(const json &nodesJson) {
  if (!nodesJson.is_array())
    throw InputError("expression: got a JSON " + std::string(nodesJson.type_name()) +
                     ", allowed: an array of nodes");
  if (nodesJson.size() > Expression::maxNodes)
    throw InputError("expression nodes", std::to_string(nodesJson.size()),
                     "1 to " + std::to_string(Expression::maxNodes));
  std::vector<Node> nodes;
  for (const json &object : nodesJson) {
    Node node = NodeReader(object, nodes.size()).read();
    std::vector<ScalarType> types;
    for (NodeId operand : node.operands)
      types.push_back(nodes[operand].type);
    // Where nothing fits, the Expression's own check reports it.
    if (auto type = resultType(node.op, types))
      node.type = *type;
    nodes.push_back(std::move(node));
  }
  return Expression(std::move(nodes));
}

} // namespace ringc::predicate
