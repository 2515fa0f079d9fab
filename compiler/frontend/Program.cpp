#include "compiler/frontend/Program.h"

#include "compiler/frontend/Check.h"
#include "compiler/frontend/Parser.h"

namespace ringc::frontend {

Program Program::parse(const SourceFile *userSource, std::span<const SourceFile> librarySources) {
  Program program;
  for (const SourceFile &source : librarySources) {
    program.add(source);
    program.library.push_back(program.modules.back().get());
  }
  if (userSource) {
    program.add(*userSource);
    program.user = program.modules.back().get();
  }
  return program;
}

void Program::add(const SourceFile &source) {
  ParseResult parsed = frontend::parse(source);
  modules.push_back(std::make_unique<Module>(std::move(parsed.module)));
  // The checker would report names that are unknown only because their declaration did not parse.
  if (parsed.diagnostics.empty())
    parsed.diagnostics = check(*modules.back(), library);
  errors.insert(errors.end(), std::make_move_iterator(parsed.diagnostics.begin()),
                std::make_move_iterator(parsed.diagnostics.end()));
}

const KernelDecl *Program::findKernel(std::string_view name) const {
  if (user)
    if (const KernelDecl *kernel = user->findKernel(name))
      return kernel;
  for (const Module *module : library)
    if (const KernelDecl *kernel = module->findKernel(name))
      return kernel;
  return nullptr;
}

const FunctionDecl *Program::findFunction(std::string_view name) const {
  if (user)
    if (const FunctionDecl *function = user->findFunction(name))
      return function;
  for (const Module *module : library)
    if (const FunctionDecl *function = module->findFunction(name))
      return function;
  return nullptr;
}

const FunctionDecl *Program::findDerivative(const FunctionDecl &score) const {
  for (const auto &module : modules)
    if (module->findFunction(score.name) == &score)
      return module->findDerivative(score.name);
  return nullptr;
}

} // namespace ringc::frontend
