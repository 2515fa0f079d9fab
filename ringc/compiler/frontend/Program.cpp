#include "ringc/compiler/frontend/Program.h"

#include "ringc/compiler/frontend/Check.h"
#include "ringc/compiler/frontend/Parser.h"

namespace ringc::frontend {

Program Program::parse(std::span<const SourceFile> userSources,
                       std::span<const SourceFile> librarySources) {
  Program program;
  for (const SourceFile &source : librarySources)
    program.library.push_back(program.add(source));
  for (const SourceFile &source : userSources)
    program.user.push_back(program.add(source));
  return program;
}

const Module *Program::add(const SourceFile &source) {
  ParseResult parsed = frontend::parse(source);
  modules.push_back(std::make_unique<Module>(std::move(parsed.module)));
  // The checker would report names that are unknown only because their declaration did not parse.
  if (parsed.diagnostics.empty())
    parsed.diagnostics = check(*modules.back(), library);
  errors.insert(errors.end(), std::make_move_iterator(parsed.diagnostics.begin()),
                std::make_move_iterator(parsed.diagnostics.end()));
  return modules.back().get();
}

std::string Program::Declaration::describe() const {
  return function ? std::string(keyword(function->kind)) + " '" + function->name + "'"
                  : "kernel '" + kernel->name + "'";
}

Program::Declaration Program::declarationAt(std::string_view file, int line) const {
  Declaration found;
  auto isNearer = [&](Location location) {
    return location.line <= line && (!found || location.line >= found.location().line);
  };
  for (const auto &module : modules) {
    if (module->source->name != file)
      continue;
    for (const auto &function : module->functions)
      if (isNearer(function->location))
        found = {.function = function.get()};
    for (const auto &kernel : module->kernels)
      if (isNearer(kernel->location))
        found = {.kernel = kernel.get()};
  }
  return found;
}

const KernelDecl *Program::findKernel(std::string_view name) const {
  for (const auto *group : {&user, &library})
    for (const Module *module : *group)
      if (const KernelDecl *kernel = module->findKernel(name))
        return kernel;
  return nullptr;
}

const FunctionDecl *Program::findFunction(std::string_view name) const {
  for (const auto *group : {&user, &library})
    for (const Module *module : *group)
      if (const FunctionDecl *function = module->findFunction(name))
        return function;
  return nullptr;
}

const FunctionDecl *Program::findFunction(std::string_view file, std::string_view name) const {
  for (const Module *module : user)
    if (module->source->name == file)
      return module->findFunction(name);
  return nullptr;
}

const FunctionDecl *Program::findDerivative(const FunctionDecl &score) const {
  for (const auto &module : modules)
    if (module->findFunction(score.name) == &score)
      return module->findDerivative(score.name);
  return nullptr;
}

} // namespace ringc::frontend
