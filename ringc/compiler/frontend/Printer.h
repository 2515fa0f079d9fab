#pragma once

#include "ringc/compiler/frontend/Ast.h"

#include <string>

namespace ringc::frontend {

/// The module as source text, functions before kernels, without comments. Parsing it gives the same
/// tree.
std::string print(const Module &module);
std::string print(const FunctionDecl &function);
std::string print(const KernelDecl &kernel);
std::string print(const Expr &expr);

} // namespace ringc::frontend
