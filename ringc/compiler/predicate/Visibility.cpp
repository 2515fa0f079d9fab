#include "ringc/compiler/predicate/Visibility.h"

#include "ringc/compiler/predicate/FloorDivision.h"
#include "ringc/compiler/predicate/Interval.h"
#include "ringc/support/Error.h"

#include <cmath>
#include <limits>

namespace ringc::predicate {

namespace {

/// An i64, or a bool as 0 and 1, or an f32.
struct HostScalar {
  int64_t integer = 0;
  float real = 0;
};

/// The Domain of Interval.h over numbers.
class HostDomain {
public:
  using Scalar = HostScalar;

  explicit HostDomain(const ElementRange &known) : elements(known) {}

  Scalar constantInt(int64_t value) { return {.integer = value}; }
  Scalar constantFloat(float value) { return {.real = value}; }
  Scalar constantBool(bool value) { return {.integer = value}; }

  Scalar add(Scalar a, Scalar b) { return {.integer = a.integer + b.integer}; }
  Scalar sub(Scalar a, Scalar b) { return {.integer = a.integer - b.integer}; }
  Scalar mul(Scalar a, Scalar b) { return {.integer = a.integer * b.integer}; }
  Scalar min(Scalar a, Scalar b) { return {.integer = std::min(a.integer, b.integer)}; }
  Scalar max(Scalar a, Scalar b) { return {.integer = std::max(a.integer, b.integer)}; }
  Scalar floorDiv(Scalar a, Scalar b) { return {.integer = floorDivision(a.integer, b.integer)}; }
  Scalar lessInt(Scalar a, Scalar b) { return {.integer = a.integer < b.integer}; }
  Scalar lessEqualInt(Scalar a, Scalar b) { return {.integer = a.integer <= b.integer}; }
  Scalar select(Scalar condition, Scalar a, Scalar b) { return condition.integer ? a : b; }
  Scalar conjunction(Scalar a, Scalar b) { return {.integer = a.integer && b.integer}; }
  Scalar disjunction(Scalar a, Scalar b) { return {.integer = a.integer || b.integer}; }
  Scalar negation(Scalar a) { return {.integer = !a.integer}; }

  Scalar addFloat(Scalar a, Scalar b) { return {.real = a.real + b.real}; }
  Scalar subFloat(Scalar a, Scalar b) { return {.real = a.real - b.real}; }
  Scalar mulFloat(Scalar a, Scalar b) { return {.real = a.real * b.real}; }
  Scalar divFloat(Scalar a, Scalar b) { return {.real = a.real / b.real}; }
  Scalar minFloat(Scalar a, Scalar b) {
    return {.real = unordered(a, b) ? nan : std::min(a.real, b.real)};
  }
  Scalar maxFloat(Scalar a, Scalar b) {
    return {.real = unordered(a, b) ? nan : std::max(a.real, b.real)};
  }
  Scalar absFloat(Scalar a) { return {.real = std::fabs(a.real)}; }
  Scalar exp2(Scalar a) { return {.real = std::exp2(a.real)}; }
  Scalar exp(Scalar a) { return {.real = std::exp(a.real)}; }
  Scalar log(Scalar a) { return {.real = std::log(a.real)}; }
  Scalar log2(Scalar a) { return {.real = std::log2(a.real)}; }
  Scalar tanh(Scalar a) { return {.real = std::tanh(a.real)}; }
  Scalar sqrt(Scalar a) { return {.real = std::sqrt(a.real)}; }
  Scalar lessFloat(Scalar a, Scalar b) { return {.integer = a.real < b.real}; }
  Scalar lessEqualFloat(Scalar a, Scalar b) { return {.integer = a.real <= b.real}; }
  Scalar intToFloat(Scalar a) { return {.real = static_cast<float>(a.integer)}; }
  Scalar floatToInt(Scalar a) { return {.integer = static_cast<int64_t>(a.real)}; }

  Interval<HostDomain> elementRange(const Node &element,
                                    std::span<const Interval<HostDomain>> indices) {
    if (!elements)
      return {};
    std::vector<Range> box;
    for (const Interval<HostDomain> &index : indices) {
      if (index.known)
        box.push_back({index.low.integer, index.high.integer});
      else
        box.push_back({std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max()});
    }
    std::optional<ElementBounds> bounds = elements(element, box);
    if (!bounds)
      return {};
    if (element.type == ScalarType::Float)
      return {constantFloat(static_cast<float>(bounds->low)),
              constantFloat(static_cast<float>(bounds->high)), true};
    return {constantInt(static_cast<int64_t>(bounds->low)),
            constantInt(static_cast<int64_t>(bounds->high)), true};
  }

private:
  static constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  static bool unordered(Scalar a, Scalar b) { return std::isnan(a.real) || std::isnan(b.real); }

  const ElementRange &elements;
};

void requireI32(const char *what, int64_t value) {
  if (value < std::numeric_limits<int32_t>::min() || value > std::numeric_limits<int32_t>::max())
    throw InputError(what, std::to_string(value), "a 32-bit integer");
}

/// The value in the type that the parameter has; an integer may stand for a float.
HostScalar parameterScalar(const Node &parameter, const ScalarValue &value) {
  switch (parameter.type) {
  case ScalarType::Int:
    if (const int64_t *integer = std::get_if<int64_t>(&value)) {
      requireI32(parameter.name.c_str(), *integer);
      return {.integer = *integer};
    }
    throw InputError(parameter.name + ": allowed: an i32");
  case ScalarType::Float:
    if (const int64_t *integer = std::get_if<int64_t>(&value))
      return {.real = static_cast<float>(*integer)};
    if (const double *real = std::get_if<double>(&value))
      return {.real = static_cast<float>(*real)};
    throw InputError(parameter.name + ": allowed: an f32");
  case ScalarType::Bool:
    if (const bool *truth = std::get_if<bool>(&value))
      return {.integer = *truth};
    throw InputError(parameter.name + ": allowed: a bool");
  }
  return {};
}

void requireMask(const Expression &mask) {
  if (mask.type() != ScalarType::Bool)
    throw InputError("mask", mask.toString(), "an expression of type bool");
}

} // namespace

std::string_view nameOf(Visibility visibility) {
  switch (visibility) {
  case Visibility::None:
    return "none";
  case Visibility::Partial:
    return "partial";
  case Visibility::Full:
    return "full";
  }
  return "";
}

Visibility visibility(const Expression &mask, const Box &box, const ParameterValues &parameters,
                      const ElementRange &elementRange) {
  requireMask(mask);
  HostDomain domain(elementRange);
  Environment<HostDomain> environment;
  const std::array<Range, variableCount> ranges = {box.batch,       box.head,     box.queryPosition,
                                                   box.keyPosition, box.queryRow, box.keyRow};
  for (size_t index = 0; index < ranges.size(); ++index) {
    if (ranges[index].low > ranges[index].high)
      return Visibility::None;
    requireI32("position", ranges[index].low);
    requireI32("position", ranges[index].high);
    environment.variables[index] = {domain.constantInt(ranges[index].low),
                                    domain.constantInt(ranges[index].high), true};
  }
  environment.parameter = [&](const Node &parameter) -> Interval<HostDomain> {
    auto found = parameters.find(parameter.name);
    if (found == parameters.end())
      return {};
    HostScalar value = parameterScalar(parameter, found->second);
    return {value, value, true};
  };
  Interval<HostDomain> result = evaluate(mask, domain, environment);
  if (result.low.integer)
    return Visibility::Full;
  return result.high.integer ? Visibility::Partial : Visibility::None;
}

} // namespace ringc::predicate
