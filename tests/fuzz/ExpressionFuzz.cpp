// Any JSON is an expression, which is written as it was read and whose bounds hold at every point,
// or an error.

#include "ringc/compiler/predicate/ExpressionJson.h"
#include "ringc/compiler/predicate/Visibility.h"
#include "ringc/support/Error.h"
#include "tests/fuzz/Require.h"

#include <nlohmann/json.hpp>

using namespace ringc;
using namespace ringc::predicate;
using ringc::fuzz::require;

namespace {

constexpr int64_t last = 4; ///< positions 0 .. last

/// Every parameter that the mask names, by its type.
ParameterValues parametersOf(const Expression &mask) {
  ParameterValues values;
  for (const Node &node : mask.nodes()) {
    if (node.op != Op::Parameter)
      continue;
    switch (node.type) {
    case ScalarType::Int:
      values[node.name] = int64_t(3);
      break;
    case ScalarType::Float:
      values[node.name] = 0.25;
      break;
    case ScalarType::Bool:
      values[node.name] = true;
      break;
    }
  }
  return values;
}

ScalarValue elementAt(const Node &element, std::span<const int64_t> indices) {
  int64_t sum = 0;
  for (int64_t index : indices)
    sum = (sum + index % 5) % 5;
  switch (element.type) {
  case ScalarType::Int:
    return sum;
  case ScalarType::Float:
    return double(sum) / 4;
  case ScalarType::Bool:
    return sum % 2 == 0;
  }
  return sum;
}

void checkBounds(const Expression &mask) {
  ParameterValues values = parametersOf(mask);
  Visibility said =
      visibility(mask, {.queryPosition = {0, last}, .keyPosition = {0, last}}, values);
  if (said == Visibility::Partial)
    return;
  for (int64_t i = 0; i <= last; ++i)
    for (int64_t j = 0; j <= last; ++j) {
      Point at{.queryPosition = i, .keyPosition = j};
      bool seen = std::get<bool>(evaluateAt(mask, at, values, elementAt));
      require(seen == (said == Visibility::Full),
              "not " + std::string(nameOf(said)) + ": " + mask.toString());
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  nlohmann::json json = nlohmann::json::parse(data, data + size, nullptr, false);
  if (json.is_discarded())
    return 0;
  try {
    Expression expression = expressionFromJson(json);
    require(expressionFromJson(toJson(expression)) == expression, "written otherwise than read");
    require(!expression.toString().empty(), "no text");
    if (expression.type() == ScalarType::Bool && expression.nodes().size() < 200)
      checkBounds(expression);
  } catch (const InputError &error) {
    require(*error.what(), "an error without a message");
  }
  return 0;
}
