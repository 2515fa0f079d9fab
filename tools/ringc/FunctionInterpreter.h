#pragma once

#include "ringc/attention/Attention.h"
#include "ringc/compiler/frontend/Ast.h"

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace ringc::cli {

/// Whether what depends on data is computed in double precision, or like all else in f32: in order,
/// each operation rounded.
enum class Precision { Double, F32 };

/// A mask or score with what its own parameters are given.
struct BoundFunction {
  const frontend::FunctionDecl *declaration = nullptr;
  const frontend::FunctionDecl *derivative = nullptr; ///< given by the source, or null
  std::map<std::string, ArgumentValue> arguments;     ///< by parameter
};

/// Where a logit stands: batch entry, query head, positions of query and key.
struct LogitPlace {
  int64_t b, h, i, j;
};

/// Functions of the language, read off their source text: a second opinion on them that shares
/// nothing with the compiler behind its parser and checker. What depends on the logit, or on other
/// data, is computed as `precision` says; all else in f32, as the language has it: it decides what
/// is seen, and what is read.
class FunctionInterpreter {
public:
  /// Rows of views over Nq have positions from `firstQuery` on.
  explicit FunctionInterpreter(int64_t firstQuery, Precision precision = Precision::Double)
      : first(firstQuery), dataIsExact(precision == Precision::Double) {}

  /// Whether all masks hold.
  bool visible(const std::vector<BoundFunction> &masks, const LogitPlace &place) const;
  /// One score after the other.
  double score(double s, const std::vector<BoundFunction> &scores, const LogitPlace &place) const;
  /// The derivative of that with respect to s: the chain rule, with central differences in double
  /// precision where the source gives no derivative.
  double slope(double s, const std::vector<BoundFunction> &scores, const LogitPlace &place) const;

  /// A function of scalars; those that are f32 are data.
  ArgumentValue call(const frontend::FunctionDecl &function,
                     std::span<const ArgumentValue> arguments) const;

private:
  /// A function being computed: its parameters and lets.
  struct Frame {
    const frontend::FunctionDecl &declaration;
    std::map<std::string, ArgumentValue, std::less<>> names = {};
    std::set<std::string, std::less<>> exact = {}; ///< names whose value depends on data
  };

  ArgumentValue apply(const BoundFunction &function, const frontend::FunctionDecl &declaration,
                      const LogitPlace &place, const double *s) const;
  // `exact` becomes true where the value depends on data that is computed exactly.
  ArgumentValue body(Frame &frame, bool &exact) const;
  ArgumentValue evaluate(Frame &frame, const frontend::Expr &expr, bool &exact) const;
  /// Before it is rounded to f32, where it is.
  ArgumentValue unrounded(Frame &frame, const frontend::Expr &expr, bool &exact) const;
  ArgumentValue evaluateCall(Frame &frame, const frontend::CallExpr &call,
                             const frontend::Type &type, bool &exact) const;
  ArgumentValue element(Frame &frame, const frontend::SubscriptExpr &subscript, bool &exact) const;

  int64_t first;
  bool dataIsExact;
};

} // namespace ringc::cli
