#pragma once

#include "ringc/compiler/frontend/Ast.h"
#include "ringc/compiler/frontend/Diagnostic.h"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ringc::frontend {

/// All sources of one compile, parsed and checked: the user's files, if any, and the library. Names
/// are looked up in the user's files first, in their order. Modules stay where they are while the
/// program lives, moved or not.
class Program {
public:
  /// The library's sources may use those before them; each of the user's all of the library.
  static Program parse(std::span<const SourceFile> user, std::span<const SourceFile> library);

  const std::vector<Diagnostic> &diagnostics() const { return errors; }
  bool isGood() const { return errors.empty(); }

  const KernelDecl *findKernel(std::string_view name) const;
  const FunctionDecl *findFunction(std::string_view name) const;
  /// The same in the user's file of that name alone.
  const FunctionDecl *findFunction(std::string_view file, std::string_view name) const;
  /// The derivative that a file gives for its own score; null where the compiler is to derive it.
  const FunctionDecl *findDerivative(const FunctionDecl &score) const;

  /// What the line of a file belongs to: a function, a kernel or neither.
  struct Declaration {
    const FunctionDecl *function = nullptr;
    const KernelDecl *kernel = nullptr;

    explicit operator bool() const { return function || kernel; }
    bool operator==(const Declaration &) const = default;
    Location location() const { return function ? function->location : kernel->location; }
    const SourceFile &source() const { return function ? *function->source : *kernel->source; }
    std::string describe() const; ///< "score 'bent'"
  };
  Declaration declarationAt(std::string_view file, int line) const;

  std::span<const Module *const> userModules() const { return user; }
  std::span<const Module *const> libraryModules() const { return library; }

private:
  const Module *add(const SourceFile &source);

  std::vector<std::unique_ptr<Module>> modules;
  std::vector<const Module *> user, library;
  std::vector<Diagnostic> errors;
};

} // namespace ringc::frontend
