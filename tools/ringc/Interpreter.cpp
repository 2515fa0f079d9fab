#include "tools/ringc/Interpreter.h"

#include "ringc/attention/shared/Options.h"
#include "ringc/compiler/Compiler.h"
#include "ringc/compiler/frontend/Diagnostic.h"
#include "ringc/support/Error.h"

#include <algorithm>

namespace ringc::cli {

using namespace frontend;

namespace {

std::vector<SourceFile> filesOf(const std::vector<SourceText> &texts) {
  std::vector<SourceFile> files;
  for (const SourceText &text : texts)
    files.push_back({text.name, text.text});
  return files;
}

} // namespace

Interpreter::Interpreter(const AttentionOptions &options, const AttentionInputs &global)
    : program(Program::parse(filesOf(userSources(options)), filesOf(makeSources({}).texts()))),
      interpreter(global.k.dim(1) - global.q.dim(1)) {
  if (!program.isGood())
    throw InputError(render(program.diagnostics()));
  masks = bind(options.masks, global);
  scores = bind(options.scores, global);
}

std::vector<BoundFunction> Interpreter::bind(const std::vector<UserFunction> &functions,
                                             const AttentionInputs &inputs) const {
  std::vector<BoundFunction> bound;
  for (const UserFunction &named : functions) {
    BoundFunction function;
    function.declaration = program.findFunction(named.file, named.name);
    if (!function.declaration)
      throw InputError(named.file, "no function " + named.name, "a function of the file");
    function.derivative = program.findDerivative(*function.declaration);
    for (const Parameter &parameter : function.declaration->parameters)
      for (const std::string &name : {named.file + ":" + named.name + "." + parameter.name,
                                      named.name + "." + parameter.name, parameter.name})
        if (auto given = inputs.arguments.find(name); given != inputs.arguments.end())
          function.arguments.emplace(parameter.name, given->second);
    bound.push_back(std::move(function));
  }
  return bound;
}

void Interpreter::addTo(reference::Problem &problem) const {
  if (!masks.empty())
    problem.mask.predicate = [this](int b, int h, int64_t i, int64_t j) {
      return interpreter.visible(masks, {b, h, i, j});
    };
  if (scores.empty())
    return;
  problem.score = [this](double s, int b, int h, int64_t i, int64_t j) {
    return interpreter.score(s, scores, {b, h, i, j});
  };
  if (std::ranges::any_of(scores, [](const BoundFunction &each) { return each.derivative; }))
    problem.scoreDerivative = [this](double s, int b, int h, int64_t i, int64_t j) {
      return interpreter.slope(s, scores, {b, h, i, j});
    };
}

} // namespace ringc::cli
