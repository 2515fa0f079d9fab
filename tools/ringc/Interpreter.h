#pragma once

#include "ringc/attention/Attention.h"
#include "ringc/compiler/frontend/Program.h"
#include "tests/support/ReferenceAttention.h"
#include "tools/ringc/FunctionInterpreter.h"

#include <vector>

namespace ringc::cli {

/// The user's masks and scores for the reference of an attention.
class Interpreter {
public:
  /// Throws InputError, with diagnostics where a source is wrong.
  Interpreter(const AttentionOptions &options, const AttentionInputs &global);

  /// Puts the functions into the problem. This must outlive it.
  void addTo(reference::Problem &problem) const;

private:
  std::vector<BoundFunction> bind(const std::vector<UserFunction> &functions,
                                  const AttentionInputs &inputs) const;

  frontend::Program program;
  FunctionInterpreter interpreter;
  std::vector<BoundFunction> masks, scores;
};

} // namespace ringc::cli
