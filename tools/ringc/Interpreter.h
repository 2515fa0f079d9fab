#pragma once

#include "compiler/frontend/Program.h"
#include "runtime/Attention.h"
#include "tests/support/ReferenceAttention.h"

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace ringc::cli {

/// The user's masks and scores, read off their source text: a second opinion on them that shares
/// nothing with the compiler behind its parser. What depends on the logit is computed in double
/// precision, all else in f32 as the language has it: it decides what is seen, and what is read.
class Interpreter {
public:
  /// Throws InputError, with diagnostics where a source is wrong.
  Interpreter(const AttentionOptions &options, const AttentionInputs &global);

  /// Puts the functions into the problem. This must outlive it.
  void addTo(reference::Problem &problem) const;

private:
  using Value = ArgumentValue;
  using Names = std::map<std::string, Value, std::less<>>;

  struct Place {
    int64_t b, h, i, j;
  };
  struct Function {
    const frontend::FunctionDecl *declaration = nullptr;
    const frontend::FunctionDecl *derivative = nullptr; ///< given by the source, or null
    std::map<std::string, ArgumentValue> arguments;     ///< by parameter
  };
  /// A function being computed: its parameters and lets.
  struct Frame {
    const frontend::FunctionDecl &declaration;
    Names names;
    std::set<std::string, std::less<>> ofLogit; ///< names whose value depends on s
  };

  std::vector<Function> bind(const std::vector<UserFunction> &functions) const;
  double score(double s, const Place &place, const std::vector<Function> &functions) const;
  double slope(double s, const Place &place) const;
  Value call(const Function &function, const frontend::FunctionDecl &declaration,
             const Place &place, const double *s) const;
  // `ofLogit` becomes true where the value depends on s.
  Value body(Frame &frame, bool &ofLogit) const;
  Value evaluate(Frame &frame, const frontend::Expr &expr, bool &ofLogit) const;
  /// Before it is rounded to f32, where it is.
  Value exactly(Frame &frame, const frontend::Expr &expr, bool &ofLogit) const;
  Value evaluateCall(Frame &frame, const frontend::CallExpr &call, const frontend::Type &type,
                     bool &ofLogit) const;
  Value element(Frame &frame, const frontend::SubscriptExpr &subscript, bool &ofLogit) const;

  frontend::Program program;
  AttentionInputs inputs;
  std::vector<Function> masks, scores;
};

} // namespace ringc::cli
