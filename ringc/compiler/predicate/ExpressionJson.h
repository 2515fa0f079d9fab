#pragma once

#include "ringc/compiler/predicate/Expression.h"

#include <nlohmann/json_fwd.hpp>

namespace ringc::predicate {

/// An array of nodes, children before parents, the root last; operands are indices into it:
///
///     [{"op": "variable", "name": "j"},
///      {"op": "variable", "name": "i"},
///      {"op": "le", "args": [0, 1]}]
///
/// Further leaves:
///
///     {"op": "constant", "type": "f32", "value": 0.5}   also "inf", "-inf", "nan"
///     {"op": "parameter", "type": "i32", "name": "window.left"}
///     {"op": "element", "type": "bool", "name": "key_padding.key_mask", "axes": ["B", "Nk"],
///      "args": [2, 5]}
nlohmann::json toJson(const Expression &expression);

/// Throws InputError naming the node, for text from anywhere.
Expression expressionFromJson(const nlohmann::json &json);

} // namespace ringc::predicate
