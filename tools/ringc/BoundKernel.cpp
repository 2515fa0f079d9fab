#include "tools/ringc/BoundKernel.h"

#include "ringc/attention/shared/Options.h"
#include "ringc/compiler/Compiler.h"
#include "ringc/compiler/frontend/Builtins.h"
#include "ringc/compiler/frontend/Diagnostic.h"
#include "ringc/compiler/frontend/Walk.h"
#include "ringc/compiler/spec/TileConfig.h"
#include "ringc/support/Error.h"

#include <algorithm>
#include <set>

namespace ringc::cli {

using namespace frontend;

namespace {

Program parse(const SourceSet &sources) {
  size_t ofLibrary = makeSources({}).texts().size();
  std::vector<SourceFile> library, user;
  for (const SourceText &text : sources.texts())
    (library.size() < ofLibrary ? library : user).push_back({text.name, text.text});
  Program program = Program::parse(user, library);
  if (!program.isGood())
    throw InputError(render(program.diagnostics()));
  return program;
}

DType dtypeOfElement(Element::Kind kind) {
  switch (kind) {
  case Element::Kind::F32:
  case Element::Kind::Constant: // which has a type of its own
    return DType::F32;
  case Element::Kind::F16:
    return DType::F16;
  case Element::Kind::BF16:
    return DType::BF16;
  case Element::Kind::I32:
    return DType::I32;
  case Element::Kind::Bool:
    return DType::Bool;
  }
  return DType::F32;
}

} // namespace

BoundKernel::BoundKernel(const Spec &spec, const SourceSet &sources,
                         const std::map<std::string, int64_t> &tile)
    : asked(spec), program(parse(sources)), kernel(program.findKernel(spec.kernel)) {
  if (!kernel)
    throw InputError("kernel", spec.kernel, "a kernel of the source or of the library");
  bindConstants(tile);
  collectArguments();
}

void BoundKernel::bindConstants(const std::map<std::string, int64_t> &tile) {
  for (const ConstantDecl &constant : kernel->constants) {
    std::string what = "constant " + constant.name + " of kernel " + kernel->name;
    switch (constant.kind) {
    case ConstantDecl::Kind::Integer: {
      std::optional<int64_t> value = constant.defaultInteger;
      for (const auto &[dimension, rows] : tile)
        if (tileConstant(dimension) == constant.name)
          value = rows;
      if (constant.name == "D")
        value = asked.headDim;
      if (constant.name == "Dv")
        value = asked.valueDim();
      if (auto given = asked.constants.find(constant.name); given != asked.constants.end())
        value = given->second;
      if (!value)
        throw InputError(what, "nothing", "an integer, --set constants." + constant.name + "=N");
      integers[constant.name] = *value;
      break;
    }
    case ConstantDecl::Kind::Type: {
      std::optional<DType> value = parseDType(constant.defaultName);
      if (constant.name == "T")
        value = dtypeOf(asked.dtype);
      if (auto given = asked.types.find(constant.name); given != asked.types.end())
        value = dtypeOf(given->second);
      if (!value)
        throw InputError(what, "nothing", "a type, --set types." + constant.name + "=f32");
      types[constant.name] = *value;
      break;
    }
    case ConstantDecl::Kind::Predicate:
    case ConstantDecl::Kind::Function: {
      bool isMask = constant.kind == ConstantDecl::Kind::Predicate;
      std::vector<std::string> given;
      if (constant.name == (isMask ? "mask" : "score"))
        given = isMask ? asked.mask : asked.score;
      if (given.empty() && !constant.defaultName.empty())
        bound[constant.name] = find({constant.defaultName}, kernel->source->name);
      else
        bound[constant.name] = find(given, asked.source);
      break;
    }
    }
  }
  for (const auto &[field, known] : {std::pair("mask", &asked.mask), {"score", &asked.score}})
    if (!known->empty() && !kernel->findConstant(field))
      throw InputError(field, known->front(), "none: kernel " + kernel->name + " has none");
}

std::vector<const FunctionDecl *> BoundKernel::find(const std::vector<std::string> &functions,
                                                    const std::string &file) const {
  std::vector<const FunctionDecl *> found;
  for (const std::string &text : functions) {
    FunctionName name = splitFunctionName(text);
    const FunctionDecl *function =
        program.findFunction(name.file.empty() ? file : name.file, name.name);
    if (name.file.empty() && !function)
      for (const Module *module : program.libraryModules())
        if (const FunctionDecl *ofLibrary = module->findFunction(name.name))
          function = ofLibrary;
    if (!function)
      throw InputError("mask or score", text, "one of the library, or FILE.tile:NAME");
    found.push_back(function);
  }
  return found;
}

KernelView BoundKernel::viewOf(const Parameter &parameter, const std::string &name,
                               bool isOfKernel) const {
  KernelView view{.name = name, .dtype = type(parameter.type.element), .axes = {}};
  view.sums = parameter.type.sums;
  auto has = [&](const char *extent) {
    return std::ranges::find(parameter.type.shape, extent, &Extent::name) !=
           parameter.type.shape.end();
  };
  view.isOfProgram = isOfKernel && (has("Nq") || has("Nk"));
  if (view.isOfProgram)
    view.axes = {"B", "Hkv"};
  if (view.isOfProgram && has("Nq"))
    view.axes.push_back("G");
  for (const Extent &extent : parameter.type.shape)
    view.axes.push_back(extent.isNumber() || (isOfKernel && integers.contains(extent.name))
                            ? std::to_string(size(extent))
                            : extent.name);
  return view;
}

void BoundKernel::collectArguments() {
  std::set<std::string> extents;
  auto add = [&](const Parameter &parameter, const std::string &name, bool isOfKernel) {
    if (parameter.type.kind == Type::Kind::View) {
      allViews.push_back(viewOf(parameter, name, isOfKernel));
      for (const std::string &axis : allViews.back().axes)
        if (axis != "B" && axis != "H" && axis != "Hkv" && axis != "G" &&
            !std::isdigit(static_cast<unsigned char>(axis[0])))
          extents.insert(axis);
    } else if (parameter.type.kind == Type::Kind::Positions) {
      extents.insert(parameter.type.shape.front().name);
    } else if (parameter.type.isScalar()) {
      allScalars.push_back({name, type(parameter.type.element)});
    }
  };
  for (const Parameter &parameter : kernel->parameters)
    add(parameter, parameter.name, true);
  walk(kernel->body, [&](const Expr &expr) {
    auto *call = std::get_if<CallExpr>(&expr.node);
    if (call && call->target == CallExpr::Target::Function &&
        call->function->kind != FunctionDecl::Kind::Function)
      bound[call->callee] = {call->function};
  });
  std::map<std::string, const FunctionDecl *> seen;
  for (const auto &entry : bound)
    for (const FunctionDecl *function : entry.second) {
      auto [known, isNew] = seen.emplace(function->name, function);
      if (known->second != function)
        throw InputError("kernel " + kernel->name, "two functions called " + function->name,
                         "names that tell them apart");
      if (isNew)
        for (size_t at = function->positionParameters(); at < function->parameters.size(); ++at)
          add(function->parameters[at], function->name + "." + function->parameters[at].name,
              false);
    }
  names.assign(extents.begin(), extents.end());
}

int64_t BoundKernel::size(const Extent &extent) const {
  return extent.isNumber() ? extent.number : integers.at(extent.name);
}

DType BoundKernel::type(const Element &element) const {
  return element.kind == Element::Kind::Constant ? types.at(element.name)
                                                 : dtypeOfElement(element.kind);
}

const std::vector<const FunctionDecl *> &BoundKernel::functions(const std::string &callee) const {
  return bound.at(callee);
}

} // namespace ringc::cli
