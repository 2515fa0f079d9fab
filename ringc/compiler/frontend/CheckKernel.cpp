#include "ringc/compiler/frontend/Checker.h"

#include <algorithm>

namespace ringc::frontend {

void Checker::checkKernel(KernelDecl &decl) {
  kernel = &decl;
  function = nullptr;
  symbols.clear();
  ended.clear();
  scopes.clear();
  maskedLoops.clear();
  running.clear();
  elementReads.clear();
  firstStores.clear();
  level = 0;
  for (const ConstantDecl &constant : decl.constants)
    checkConstant(constant);
  for (const Parameter &parameter : decl.parameters)
    declare(
        parameter.name,
        {.kind = Symbol::Kind::Parameter, .type = parameter.type, .location = parameter.location});
  for (const Parameter &parameter : decl.parameters)
    checkParameter(parameter);
  checkGrid(decl);
  checkBlock(decl.body);
  for (const auto &[carry, state] : running)
    if (!state.finished)
      sink.report(state.location, Message::ResumeWithoutFinish, {carry});
  for (const auto &[view, location] : firstStores)
    if (auto read = elementReads.find(view); read != elementReads.end())
      sink.report(location, Message::ElementIsWritten, {view, std::to_string(read->second.line)});
}

void Checker::checkConstant(const ConstantDecl &constant) {
  bool fresh = declare(constant.name, {.kind = Symbol::Kind::Constant,
                                       .type = {},
                                       .location = constant.location,
                                       .constant = &constant});
  if (fresh && constant.name == kernel->name)
    sink.report(constant.location, Message::Redefinition,
                {constant.name, std::to_string(kernel->location.line)});
  if (constant.defaultName.empty())
    return;
  const FunctionDecl *found = findFunction(constant.defaultName);
  switch (constant.kind) {
  case ConstantDecl::Kind::Integer:
    break;
  case ConstantDecl::Kind::Type:
    if (constant.defaultName != "f32" && constant.defaultName != "f16" &&
        constant.defaultName != "bf16")
      sink.report(constant.defaultLocation, Message::TypeDefault, {constant.defaultName});
    break;
  case ConstantDecl::Kind::Predicate:
    if (!found || found->kind != FunctionDecl::Kind::Mask)
      sink.report(constant.defaultLocation, Message::UnknownPredicate,
                  {constant.defaultName,
                   didYouMean(constant.defaultName, functionNames(FunctionDecl::Kind::Mask))});
    break;
  case ConstantDecl::Kind::Function:
    if (!found || found->kind != FunctionDecl::Kind::Score)
      sink.report(constant.defaultLocation, Message::UnknownFunctionDefault,
                  {constant.defaultName,
                   didYouMean(constant.defaultName, functionNames(FunctionDecl::Kind::Score))});
    break;
  }
}

void Checker::checkParameter(const Parameter &parameter) {
  const Type &type = parameter.type;
  if (type.kind == Type::Kind::Positions) {
    const std::string &extent = type.shape.front().name;
    if (type.shape.size() != 1 || (extent != "Nq" && extent != "Nk"))
      sink.report(parameter.typeLocation, Message::PositionsExtent);
    return;
  }
  if (type.kind != Type::Kind::View)
    return;
  checkElement(type.element, parameter.typeLocation);
  if (type.shape.size() > 4)
    sink.report(parameter.typeLocation, Message::ViewRankInKernel);
  else
    checkExtents(parameter);
  if (type.sums && !(type.shape.size() == 2 && isStatic(type.shape[1])))
    sink.report(parameter.typeLocation, Message::SumsShape);
}

void Checker::checkExtents(const Parameter &parameter) {
  auto isOfPositions = [](const Extent &extent) {
    return extent.name == "Nq" || extent.name == "Nk";
  };
  bool ofPositions = std::ranges::any_of(parameter.type.shape, isOfPositions);
  if (std::ranges::count_if(parameter.type.shape, isOfPositions) > 1)
    sink.report(parameter.typeLocation, Message::AxisOfPositions,
                {std::ranges::find_if(parameter.type.shape.rbegin(), parameter.type.shape.rend(),
                                      isOfPositions)
                     ->name});
  for (const Extent &extent : parameter.type.shape) {
    if (extent.isNumber())
      continue;
    if (extent.name == "B" || extent.name == "H" || extent.name == "Hkv") {
      if (extent.name == "H" || ofPositions || parameter.type.sums)
        sink.report(parameter.typeLocation, Message::AxisOfHeads, {extent.name});
      else if (!kernel->perHead())
        sink.report(parameter.typeLocation, Message::AxisOfPrograms, {extent.name});
    } else if (isOfPositions(extent)) {
    } else if (const Symbol *symbol = find(extent.name)) {
      bool integer = symbol->kind == Symbol::Kind::Extent ||
                     (symbol->constant && symbol->constant->kind == ConstantDecl::Kind::Integer);
      if (!integer)
        sink.report(parameter.typeLocation, Message::ExtentIsNotInteger, {extent.name});
    } else {
      declare(extent.name, {.kind = Symbol::Kind::Extent,
                            .type = Type::scalar(i32Element),
                            .location = parameter.typeLocation});
    }
  }
}

void Checker::checkGrid(const KernelDecl &decl) {
  std::vector<std::string> extents;
  for (const Parameter &parameter : decl.parameters)
    for (const Extent &extent : parameter.type.shape)
      if (!decl.isOwnAxis(extent))
        extents.push_back(extent.name);
  for (const GridAxisDecl &axis : decl.grid) {
    if (!axis.extent.isNumber() && std::ranges::find(extents, axis.extent.name) == extents.end())
      sink.report(axis.extentLocation, Message::GridExtentUnknown,
                  {axis.extent.name, didYouMean(axis.extent.name, extents)});
    checkStep(axis.step, axis.stepLocation);
    declare(axis.variable, {.kind = Symbol::Kind::Grid,
                            .type = Type::scalar(i32Element),
                            .location = axis.location,
                            .step = axis.step,
                            .extent = print(axis.extent)});
  }
}

/// A number, or a constant of the kernel.
bool Checker::isStatic(const Extent &extent) const {
  if (extent.isNumber())
    return true;
  const Symbol *symbol = find(extent.name);
  return symbol && symbol->constant && symbol->constant->kind == ConstantDecl::Kind::Integer;
}

bool Checker::checkStep(const Extent &step, Location location) {
  if (isStatic(step))
    return true;
  if (!find(step.name) && !isKnownExtent(step.name)) {
    reportUnknownName(step.name, location);
    return false;
  }
  sink.report(location, Message::StepNotStatic, {step.name});
  return false;
}

} // namespace ringc::frontend
