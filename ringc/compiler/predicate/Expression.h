#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ringc::predicate {

/// Types of the tile language's scalars: i32, f32, bool.
enum class ScalarType { Int, Float, Bool };

/// What a mask or score may read: batch, query head, global positions of query and key, and the
/// local rows of the shard that index data travelling with the query (extent Nq) or with the key
/// (extent Nk).
enum class Variable { Batch, Head, QueryPosition, KeyPosition, QueryRow, KeyRow };
inline constexpr int variableCount = 6;

enum class Op {
  Constant,
  Variable,
  Parameter,
  Element, ///< load from a view parameter; operands are the indices, one for each axis
  Add,
  Sub,
  Mul,
  Div,      ///< float
  FloorDiv, ///< int, rounds down
  FloorMod, ///< int, takes the divisor's sign
  Min,
  Max,
  Abs,
  Neg,
  Eq,
  Ne,
  Lt,
  Le,
  Gt,
  Ge,
  And,
  Or,
  Not,
  Select, ///< operands condition, then, else
  IntToFloat,
  FloatToInt, ///< rounds towards zero; beyond i32 the nearest end, NaN the least
  Exp2,
  Log2,
  Tanh,
  Sqrt,
  Exp,
  Log,
  Sin,
  Cos,
  Erf,
  Random, ///< operands seed, b, h, i, j: Philox.h
};
inline constexpr int opCount = static_cast<int>(Op::Random) + 1;

/// Whether `op` computes from its operands alone: neither a leaf nor an Element.
constexpr bool isOperator(Op op) { return op > Op::Element; }

/// "i32", "f32", "bool"; "b", "h", "i", "j", "query_row", "key_row"; "constant", "add", ...: as in
/// JSON, each with its inverse.
std::string_view nameOf(ScalarType type);
std::string_view nameOf(Variable variable);
std::string_view nameOf(Op op);
std::optional<ScalarType> parseScalarType(std::string_view name);
std::optional<Variable> parseVariable(std::string_view name);
std::optional<Op> parseOp(std::string_view name);

/// The type of an operator applied to operands of these types; nothing where it does not apply.
/// Leaves and Element have a type of their own.
std::optional<ScalarType> resultType(Op op, std::span<const ScalarType> operands);

/// Index of a node in its expression.
using NodeId = int;

struct Node {
  Op op = Op::Constant;
  ScalarType type = ScalarType::Int;
  std::vector<NodeId> operands;
  int64_t integer = 0; ///< Constant: the int (within i32), or the bool as 0 or 1
  double real = 0;     ///< Constant: the float; its value is `float(real)`
  Variable variable = Variable::Batch;
  std::string name;              ///< Parameter, Element: as the kernel argument is called
  std::vector<std::string> axes; ///< Element: extents, "H", "Nk", "4", ...

  /// Of floats the bits are compared, all NaN as one.
  bool operator==(const Node &other) const;
};

/// A pure expression: a directed acyclic graph in an array, children before parents, the root last.
///
/// Integers are i32 and wrap, floats are f32. It has no loops, no effects and no state, so that the
/// same text is evaluated at a point, over a box of positions (Interval.h), or emitted as IR.
class Expression {
public:
  static constexpr size_t maxNodes = 10000;

  /// Throws InputError unless `nodes` is well formed: see `validate`.
  explicit Expression(std::vector<Node> nodes);

  const std::vector<Node> &nodes() const { return array; }
  const Node &root() const { return array.back(); }
  ScalarType type() const { return root().type; }

  bool operator==(const Expression &) const = default;

  /// In the language's own syntax; a shared inner node is printed once:
  /// `let t0 = i - j; t0 >= 0 and t0 % step == 0`.
  std::string toString() const;

private:
  std::vector<Node> array;
};

/// Throws InputError naming the node and what is wrong: no node or too many, an operand that is not
/// an earlier node, a wrong number or type of operands, an integer beyond i32, an Element whose
/// indices do not match its axes, a parameter or view that appears with two types.
void validate(std::span<const Node> nodes);

} // namespace ringc::predicate
