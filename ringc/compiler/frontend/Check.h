#pragma once

#include "ringc/compiler/frontend/Ast.h"
#include "ringc/compiler/frontend/Diagnostic.h"

#include <span>

namespace ringc::frontend {

/// Resolves names, computes the type of every expression and reports what does not agree. Names are
/// looked up in the module, then in the library's modules, in order. The library has been checked,
/// and outlives the module: calls keep pointers into it. Shapes are compared by the names of their
/// constants: two constants are different extents even where their defaults agree.
std::vector<Diagnostic> check(Module &module, std::span<const Module *const> library = {});

} // namespace ringc::frontend
