#pragma once

#include "ringc/compiler/frontend/Diagnostic.h"
#include "ringc/compiler/frontend/Token.h"

#include <vector>

namespace ringc::frontend {

/// Splits a source into tokens that view it; the last one is End. Malformed text becomes Invalid
/// tokens and diagnostics.
std::vector<Token> lex(const SourceFile &source, DiagnosticSink &sink);

} // namespace ringc::frontend
