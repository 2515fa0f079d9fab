#pragma once

#include "ringc/compiler/predicate/Expression.h"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <variant>

namespace ringc::predicate {

/// What a tile of (query, key) pairs sees: no pair, some pairs or not known, all pairs.
enum class Visibility { None, Partial, Full };

/// "none", "partial", "full".
std::string_view nameOf(Visibility visibility);

/// Inclusive. Empty where low > high.
struct Range {
  int64_t low = 0;
  int64_t high = 0;
  bool operator==(const Range &) const = default;
};

/// The (b, h, i, j) of a tile. The rows matter only to elements of views with an axis Nq or Nk.
struct Box {
  Range batch = {}, head = {}, queryPosition = {}, keyPosition = {}, queryRow = {}, keyRow = {};
};

using ScalarValue = std::variant<int64_t, double, bool>;

/// Values of scalar parameters by name.
using ParameterValues = std::map<std::string, ScalarValue, std::less<>>;

/// Bounds of a view's elements in a box of indices, one range for each axis: i32 and f32 as they
/// are, bool as 0 and 1. An index that is not known is all of i32. Nothing where the host does not
/// know.
struct ElementBounds {
  double low = 0;
  double high = 0;
};
using ElementRange = std::function<std::optional<ElementBounds>(const Node &element,
                                                                std::span<const Range> indices)>;

/// What `mask` shows of a box. None and Full are certain, for the kernel's arithmetic too (i32 that
/// wraps, rounded f32); Partial is also said where it cannot be told: a parameter that is not in
/// `parameters`, elements that the host does not know. Positions beyond i32 are refused, as is a
/// mask that is no Bool or a parameter of another type than the mask says: InputError.
Visibility visibility(const Expression &mask, const Box &box,
                      const ParameterValues &parameters = {},
                      const ElementRange &elementRange = nullptr);

/// One (b, h, i, j).
struct Point {
  int64_t batch = 0, head = 0, queryPosition = 0, keyPosition = 0, queryRow = 0, keyRow = 0;
};

using ElementValue =
    std::function<ScalarValue(const Node &element, std::span<const int64_t> indices)>;

/// The value at one point, as a kernel computes it: i32 that wraps, f32. Integer division by zero
/// gives 0. Throws InputError where a parameter or `elementValue` is missing.
ScalarValue evaluateAt(const Expression &expression, const Point &point,
                       const ParameterValues &parameters = {},
                       const ElementValue &elementValue = nullptr);

} // namespace ringc::predicate
