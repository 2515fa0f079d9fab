#include "ringc/compiler/frontend/Checker.h"
#include "ringc/compiler/frontend/Walk.h"

#include <algorithm>

namespace ringc::frontend {

namespace {

constexpr int deepestCalls = 100;
constexpr int64_t largestInlined = 5000;

constexpr std::string_view positionNames[] = {"s", "b", "h", "i", "j"};

} // namespace

std::vector<Diagnostic> check(Module &module, std::span<const Module *const> library) {
  DiagnosticSink sink(*module.source);
  Checker(module, library, sink).run();
  return sink.take();
}

std::string counted(size_t count, const char *what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

void Checker::run() {
  checkNames();
  for (auto &decl : module.functions)
    checkFunctionParameters(*decl);
  checkCallGraph();
  for (auto &decl : module.functions)
    checkFunction(*decl);
  for (auto &decl : module.kernels)
    checkKernel(*decl);
}

void Checker::checkNames() {
  std::unordered_map<std::string, Location> derivatives;
  for (auto &decl : module.functions) {
    if (decl->kind != FunctionDecl::Kind::Derivative) {
      declareGlobal(decl->name, decl->location);
      continue;
    }
    auto [previous, fresh] = derivatives.emplace(decl->name, decl->location);
    if (!fresh)
      sink.report(decl->location, Message::Redefinition,
                  {decl->name, std::to_string(previous->second.line)});
  }
  for (auto &decl : module.kernels)
    declareGlobal(decl->name, decl->location);
}

void Checker::declareGlobal(const std::string &name, Location location) {
  if (findBuiltin(name) || isLanguageConstant(name) || name == "derivative")
    sink.report(location, Message::NameOfTheLanguage, {name});
  auto [previous, fresh] = globals.emplace(name, location);
  if (!fresh)
    sink.report(location, Message::Redefinition, {name, std::to_string(previous->second.line)});
}

const FunctionDecl *Checker::findFunction(std::string_view name) const {
  if (globals.contains(std::string(name)))
    return module.findFunction(name);
  for (const Module *other : library)
    if (const FunctionDecl *found = other->findFunction(name))
      return found;
  return nullptr;
}

std::vector<std::string> Checker::functionNames(std::optional<FunctionDecl::Kind> kind) const {
  std::vector<std::string> names;
  auto collect = [&](const Module &from) {
    for (const auto &decl : from.functions)
      if (!kind || decl->kind == *kind)
        names.push_back(decl->name);
  };
  collect(module);
  for (const Module *other : library)
    collect(*other);
  return names;
}

/// Recursion would never end where calls are written out, and a short chain of functions that call
/// twice can grow without bound.
void Checker::checkCallGraph() {
  for (auto &decl : module.functions)
    walk(decl->body, [&](const Expr &expr) {
      ++decl->inlinedSize;
      if (auto *call = std::get_if<CallExpr>(&expr.node))
        calls[decl.get()].push_back(call);
    });
  for (auto &decl : module.functions)
    visitCalls(*decl, 1);
}

void Checker::visitCalls(FunctionDecl &decl, int depth) {
  if (!callDepth.emplace(&decl, 0).second)
    return;
  int deepest = 1;
  for (const CallExpr *call : calls[&decl]) {
    const FunctionDecl *callee =
        call->isDerivative || findBuiltin(call->callee) ? nullptr : findFunction(call->callee);
    if (!callee)
      continue;
    auto own = std::ranges::find(module.functions, callee,
                                 [](const auto &candidate) { return candidate.get(); });
    if (own != module.functions.end()) {
      auto visited = callDepth.find(callee);
      if (visited != callDepth.end() && visited->second == 0) {
        sink.report(decl.location, Message::Recursion, {callee->name});
        continue;
      }
      if (depth > deepestCalls) {
        sink.report(decl.location, Message::CallsTooDeep,
                    {decl.name, std::to_string(deepestCalls)});
        break;
      }
      visitCalls(**own, depth + 1);
      deepest = std::max(deepest, callDepth[callee] + 1);
    }
    decl.inlinedSize = std::min(decl.inlinedSize + callee->inlinedSize, largestInlined + 1);
  }
  if (decl.inlinedSize > largestInlined)
    sink.report(decl.location, Message::TooLargeInlined,
                {decl.name, std::to_string(largestInlined)});
  if (deepest > deepestCalls)
    sink.report(decl.location, Message::CallsTooDeep, {decl.name, std::to_string(deepestCalls)});
  callDepth[&decl] = deepest;
}

void Checker::checkFunctionParameters(FunctionDecl &decl) {
  size_t leading = decl.positionParameters();
  size_t skip = std::size(positionNames) - leading; // a mask has no s
  for (size_t at = 0; at < leading; ++at) {
    Type wanted = Type::scalar(leading == 5 && at == 0 ? f32Element : i32Element);
    bool missing = at >= decl.parameters.size();
    if (!missing && decl.parameters[at].name == positionNames[at + skip] &&
        decl.parameters[at].type == wanted)
      continue;
    sink.report(missing ? decl.location : decl.parameters[at].location, Message::PositionParameters,
                {keyword(decl.kind),
                 leading == 4 ? "b, h, i, j: index" : "s: f32 and b, h, i, j: index",
                 std::to_string(at + 1)});
    break;
  }
  if (decl.kind == FunctionDecl::Kind::Derivative)
    checkDerivative(decl);
  for (const Parameter &parameter : decl.parameters) {
    bool views = decl.kind != FunctionDecl::Kind::Function;
    if (parameter.type.kind == Type::Kind::View && !parameter.type.sums && views) {
      if (parameter.type.shape.size() > 4)
        sink.report(parameter.typeLocation, Message::ViewRankInFunction);
      checkElement(parameter.type.element, parameter.typeLocation);
    } else if (!parameter.type.isScalar()) {
      sink.report(parameter.typeLocation, Message::FunctionParameterType,
                  {keyword(decl.kind), views ? " and views" : "", print(parameter.type)});
    }
  }
}

void Checker::checkDerivative(const FunctionDecl &decl) {
  const FunctionDecl *score = module.findFunction(decl.name);
  if (!score || score->kind != FunctionDecl::Kind::Score) {
    sink.report(decl.location, Message::DerivativeWithoutScore, {decl.name});
    return;
  }
  bool same = std::ranges::equal(
      decl.parameters, score->parameters,
      [](const Parameter &a, const Parameter &b) { return a.name == b.name && a.type == b.type; });
  if (!same)
    sink.report(decl.location, Message::DerivativeParameters, {decl.name});
}

void Checker::checkFunction(FunctionDecl &decl) {
  function = &decl;
  kernel = nullptr;
  symbols.clear();
  ended.clear();
  scopes.clear();
  level = 0;
  for (const Parameter &parameter : decl.parameters)
    declare(
        parameter.name,
        {.kind = Symbol::Kind::Parameter, .type = parameter.type, .location = parameter.location});
  checkBlock(decl.body);
}

bool Checker::declare(const std::string &name, Symbol symbol) {
  if (isLanguageConstant(name) || isKnownExtent(name)) {
    sink.report(symbol.location, Message::NameOfTheLanguage, {name});
    return false;
  }
  symbol.level = level;
  Location location = symbol.location;
  auto [previous, fresh] = symbols.emplace(name, std::move(symbol));
  if (!fresh) {
    sink.report(location, Message::Redefinition,
                {name, std::to_string(previous->second.location.line)});
    return false;
  }
  scopes.resize(std::max<size_t>(scopes.size(), static_cast<size_t>(level) + 1));
  scopes[static_cast<size_t>(level)].push_back(name);
  return true;
}

void Checker::closeScope() {
  if (scopes.size() > static_cast<size_t>(level)) {
    for (const std::string &name : scopes[static_cast<size_t>(level)]) {
      auto symbol = symbols.find(name);
      ended[name] = symbol->second.location;
      symbols.erase(symbol);
    }
    scopes.resize(static_cast<size_t>(level));
  }
  --level;
}

const Symbol *Checker::find(const std::string &name) const {
  auto found = symbols.find(name);
  return found == symbols.end() ? nullptr : &found->second;
}

void Checker::reportUnknownName(const std::string &name, Location location) {
  if (auto old = ended.find(name); old != ended.end()) {
    sink.report(location, Message::NameOutOfScope, {name, std::to_string(old->second.line)});
    return;
  }
  std::vector<std::string> names = {"LOG2E", "LN2"};
  for (const auto &entry : symbols)
    names.push_back(entry.first);
  std::ranges::sort(names);
  sink.report(location, Message::UnknownName, {name, didYouMean(name, names)});
}

} // namespace ringc::frontend
