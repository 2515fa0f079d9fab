#pragma once

#include "ringc/compiler/frontend/Source.h"
#include "ringc/compiler/frontend/Type.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace ringc::frontend {

// The tree of a source file: plain structs, filled by the parser. What the checker adds is marked
// so.

struct Expr;
struct FunctionDecl;
using ExprPtr = std::unique_ptr<Expr>;

enum class UnaryOp { Negate, Not, Transpose };

enum class BinaryOp {
  Or,
  And,
  Equal,
  NotEqual,
  Less,
  LessEqual,
  Greater,
  GreaterEqual,
  Add,
  Subtract,
  Multiply,
  Divide,
  Remainder,
};

enum class Builtin {
  Min,
  Max,
  Abs,
  Tanh,
  Exp,
  Exp2,
  Log,
  Log2,
  Sqrt,
  Sin,
  Cos,
  Erf,
  Where,
  Fma,
  Random,
  Shortcut,
  ToF32,
  ToI32,
  RowMax,
  RowSum,
  ColMax,
  ColSum,
  Dot,
  Cast,
  Zeros,
  Full,
  Iota,
};

struct IntLiteral {
  int64_t value = 0;
};
struct FloatLiteral {
  double value = 0; ///< inf is infinity
};
struct BoolLiteral {
  bool value = false;
};

struct NameExpr {
  /// Checker: what the name stands for.
  enum class Kind { Unresolved, Local, Parameter, Constant, Extent, Log2e, Ln2 };
  std::string name;
  Kind kind = Kind::Unresolved;
};

struct UnaryExpr {
  UnaryOp op;
  ExprPtr operand;
};

struct BinaryExpr {
  BinaryOp op;
  ExprPtr lhs, rhs;
};

struct ConditionalExpr {
  ExprPtr condition, whenTrue, whenFalse;
};

/// f(...), cast<T>(x), zeros<f32>[R, C], full<f32>[R, C](x), iota<i32>[R, 1], derivative(f)(...)
struct CallExpr {
  /// Checker: what is called. Constant is a kernel constant of kind predicate or function.
  enum class Target { Unresolved, Builtin, Function, Constant };
  std::string callee;
  bool isDerivative = false;
  std::optional<Element> element = {};
  Location elementLocation = {};
  std::vector<Extent> shape = {};
  std::vector<Location> shapeLocations = {};
  std::vector<ExprPtr> arguments = {};

  Target target = Target::Unresolved;
  Builtin builtin = Builtin::Min;
  const FunctionDecl *function = nullptr; ///< Function: owned by its module
};

/// One axis of view[...]: an index (an i32, or a column of them that names rows), a window `offset
/// : size`, or `:` for all of it.
struct AxisRange {
  enum class Kind { Index, Window, Whole };
  Kind kind = Kind::Whole;
  Location location;
  ExprPtr offset;
  Extent size;
  Location sizeLocation;
};

struct SubscriptExpr {
  std::string view;
  std::vector<AxisRange> axes; ///< in a kernel without those that are the program's own
  ExprPtr fill;                ///< `else x`, may be null
};

struct Expr {
  Location location; ///< of the operator of a binary expression, else of the first token
  std::variant<IntLiteral, FloatLiteral, BoolLiteral, NameExpr, UnaryExpr, BinaryExpr,
               ConditionalExpr, CallExpr, SubscriptExpr>
      node;
  int depth = 1; ///< levels of the tree from here
  Type type;     ///< checker; an integer literal that stands for a float has the type f32
};

/// What a mask or a score is applied at: a window of positions, perhaps with a number added or
/// subtracted.
struct PositionArgument {
  const SubscriptExpr *window = nullptr; ///< null: something else
  const BinaryExpr *shift = nullptr;     ///< null: none

  static PositionArgument of(const Expr &expr) {
    if (auto *window = std::get_if<SubscriptExpr>(&expr.node))
      return {window};
    auto *sum = std::get_if<BinaryExpr>(&expr.node);
    if (!sum || (sum->op != BinaryOp::Add && sum->op != BinaryOp::Subtract))
      return {};
    return {std::get_if<SubscriptExpr>(&sum->lhs->node), sum};
  }
};

struct Statement;
using Block = std::vector<Statement>;

struct LetStatement {
  std::string name;
  ExprPtr value;
};
struct VarStatement {
  std::string name;
  ExprPtr value;
};
/// var (names) = resume carry else (initial)
struct ResumeStatement {
  std::vector<std::string> names;
  std::vector<Location> nameLocations;
  std::string carry;
  Location carryLocation;
  std::vector<ExprPtr> initial;
};
struct AssignStatement {
  std::string name;
  std::optional<BinaryOp> op; ///< of +=, -=, *=
  ExprPtr value;
};
struct StoreStatement {
  ExprPtr target; ///< a SubscriptExpr
  bool adds = false;
  ExprPtr value;
};
struct ForStatement {
  std::string variable;
  Location variableLocation;
  ExprPtr lower, upper;
  Extent step;
  Location stepLocation;
  std::string seen; ///< empty without a predicate
  Location seenLocation;
  ExprPtr predicate;
  Block body;
};
/// finish carry(values) { body }
struct FinishStatement {
  std::string carry;
  Location carryLocation;
  std::vector<ExprPtr> values;
  Block body;
};
struct ReturnStatement {
  ExprPtr value;
};

struct Statement {
  Location location; ///< of the declared or assigned name, else of the first token
  std::variant<LetStatement, VarStatement, ResumeStatement, AssignStatement, StoreStatement,
               ForStatement, FinishStatement, ReturnStatement>
      node;
};

struct Parameter {
  std::string name;
  Location location;
  Type type;
  Location typeLocation;
};

/// A mask, a score, the derivative of a score, or a scalar function: lets and one return.
struct FunctionDecl {
  enum class Kind { Mask, Score, Derivative, Function };
  Kind kind;
  std::string name;
  Location location;
  std::vector<Parameter> parameters;
  Type result;
  Block body; ///< the last statement is the only return
  std::shared_ptr<const SourceFile> source;

  /// Checker: operations of the body with its calls written out.
  int64_t inlinedSize = 0;

  /// Parameters before the user's own: b, h, i, j of a mask; s, b, h, i, j of a score.
  size_t positionParameters() const {
    return kind == Kind::Function ? 0 : kind == Kind::Mask ? 4 : 5;
  }
};

/// D, BQ = 64, T: type, mask: predicate = all, score: function = identity
struct ConstantDecl {
  enum class Kind { Integer, Type, Predicate, Function };
  Kind kind = Kind::Integer;
  std::string name;
  Location location;
  std::optional<int64_t> defaultInteger;
  std::string defaultName; ///< of a type, mask or score; may be empty
  Location defaultLocation;
};

/// rows in Nq step BQ
struct GridAxisDecl {
  std::string variable;
  Location location;
  Extent extent;
  Location extentLocation;
  Extent step;
  Location stepLocation;
};

struct KernelDecl {
  std::string name;
  Location location;
  std::vector<ConstantDecl> constants;
  std::vector<Parameter> parameters;
  std::vector<GridAxisDecl> grid; ///< one or two
  Block body;
  std::shared_ptr<const SourceFile> source;

  /// A kernel with a view or positions over Nq or Nk runs once for each batch and KV head.
  bool perHead() const;
  /// Whether an axis of this extent is the program's own batch entry or KV head, which nothing
  /// indexes.
  bool isOwnAxis(const Extent &extent) const {
    return perHead() && (extent.name == "B" || extent.name == "Hkv");
  }
  const ConstantDecl *findConstant(std::string_view name) const;
  const Parameter *findParameter(std::string_view name) const;
};

/// One parsed file. Declarations have stable addresses.
struct Module {
  std::shared_ptr<const SourceFile> source;
  std::vector<std::unique_ptr<FunctionDecl>> functions;
  std::vector<std::unique_ptr<KernelDecl>> kernels;

  const FunctionDecl *findFunction(std::string_view name) const; ///< not derivatives
  const FunctionDecl *findDerivative(std::string_view score) const;
  const KernelDecl *findKernel(std::string_view name) const;
};

/// "mask", "score", "derivative", "function"
const char *keyword(FunctionDecl::Kind kind);
/// "+", "and", ...
const char *spelling(BinaryOp op);

} // namespace ringc::frontend
