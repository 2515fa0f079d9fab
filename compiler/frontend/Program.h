#pragma once

#include "compiler/frontend/Ast.h"
#include "compiler/frontend/Diagnostic.h"

#include <span>
#include <vector>

namespace ringc::frontend {

/// All sources of one compile, parsed and checked: the user's file, if any, and the library. Names
/// are looked up in the user's file first. Modules stay where they are while the program lives,
/// moved or not.
class Program {
public:
  /// The library's sources may use one another in this order; the user's may use all of the
  /// library.
  static Program parse(const SourceFile *user, std::span<const SourceFile> library);

  const std::vector<Diagnostic> &diagnostics() const { return errors; }
  bool isGood() const { return errors.empty(); }

  const KernelDecl *findKernel(std::string_view name) const;
  const FunctionDecl *findFunction(std::string_view name) const;
  /// The derivative that a file gives for its own score; null where the compiler is to derive it.
  const FunctionDecl *findDerivative(const FunctionDecl &score) const;

  /// Null without a user's file.
  const Module *userModule() const { return user; }
  std::span<const Module *const> libraryModules() const { return library; }

private:
  void add(const SourceFile &source);

  std::vector<std::unique_ptr<Module>> modules; ///< in the order in which they were added
  std::vector<const Module *> library;
  const Module *user = nullptr;
  std::vector<Diagnostic> errors;
};

} // namespace ringc::frontend
