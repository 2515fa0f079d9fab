#include "tools/ringc/KernelSpec.h"

#include "ringc/compiler/frontend/Parser.h"
#include "ringc/support/Error.h"
#include "tools/ringc/ReadText.h"

#include <algorithm>

namespace ringc::cli {

namespace {

/// What a .tile file asks for by itself: its one kernel, or the library's forward with all of its
/// masks and scores.
Spec specOfSource(const std::string &path, const std::string &text) {
  frontend::ParseResult parsed = frontend::parse({path, text});
  const frontend::Module &module = parsed.module;
  Spec spec{.source = path};
  if (!module.kernels.empty()) {
    spec.kernel = module.kernels.front()->name;
    return spec;
  }
  for (const auto &function : module.functions) {
    if (function->kind == frontend::FunctionDecl::Kind::Mask)
      spec.mask.push_back(path + ":" + function->name);
    if (function->kind == frontend::FunctionDecl::Kind::Score)
      spec.score.push_back(path + ":" + function->name);
  }
  if (spec.mask.empty() && spec.score.empty() && parsed.diagnostics.empty())
    throw InputError(path + ": has no kernel, mask or score: there is nothing to compile");
  return spec;
}

/// Throws where a file has several kernels and nothing says which.
void requireOneKernel(const Spec &spec, const std::string &text,
                      std::span<const std::string> assignments) {
  if (std::ranges::any_of(assignments,
                          [](const std::string &each) { return each.starts_with("kernel="); }))
    return;
  std::string names;
  size_t count = 0;
  for (const auto &kernel : frontend::parse({spec.source, text}).module.kernels) {
    names += (count++ ? ", " : "") + kernel->name;
  }
  if (count > 1)
    throw InputError(spec.source, std::to_string(count) + " kernels",
                     "one, or --set kernel=NAME with one of " + names);
}

} // namespace

Spec specOfFile(const std::string &path, std::span<const std::string> assignments) {
  bool isTile = path.ends_with(".tile");
  if (!isTile && !path.ends_with(".json"))
    throw InputError("source", path, "SPEC.json, FILE.tile");
  std::string text = readText(path);
  Spec spec = isTile ? specOfSource(path, text) : parseSpec(text, path);
  if (isTile)
    requireOneKernel(spec, text, assignments);
  for (const std::string &assignment : assignments)
    set(spec, assignment);
  return spec;
}

std::vector<SourceText> textsOf(const Spec &spec) {
  std::vector<SourceText> texts;
  for (const std::string &file : sourceFiles(spec))
    texts.push_back({file, readText(file)});
  return texts;
}

} // namespace ringc::cli
