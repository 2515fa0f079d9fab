#pragma once

#include "compiler/predicate/Expression.h"

#include <nlohmann/json_fwd.hpp>

namespace ringc::predicate {

/// An array of nodes, children before parents, the root last; operands are indices into it:
///
///     [{"op": "variable", "name": "j"}, {"op": "variable", "name": "i"}, {"op": "le", "args": [0,
///     1]}]
///
/// Further leaves: {"op": "constant", "type": "i32", "value": 3} (floats that are not finite:
/// "inf", "-inf", "nan"),
/// {"op": "parameter", "name": "window.left", "type": "i32"},
/// {"op": "element", "name": "key_padding.key_mask", "type": "bool", "axes": ["B", "Nk"], "args":
/// [2, 5]}.
nlohmann::json toJson(const Expression &expression);

/// Throws InputError naming the node, for text from anywhere.
Expression expressionFromJson(const nlohmann::json &json);

} // namespace ringc::predicate
