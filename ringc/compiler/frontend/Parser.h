#pragma once

#include "ringc/compiler/frontend/Ast.h"
#include "ringc/compiler/frontend/Diagnostic.h"

namespace ringc::frontend {

struct ParseResult {
  Module module;
  std::vector<Diagnostic> diagnostics; ///< empty: the module is well formed and can be checked
};

/// Reads a file. Goes on after an error at the next statement or declaration, for up to
/// DiagnosticSink::limit errors.
ParseResult parse(SourceFile source);

/// Levels of nesting that expressions and blocks may have.
inline constexpr int deepestNesting = 200;

} // namespace ringc::frontend
