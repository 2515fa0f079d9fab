#include "ringc/compiler/irgen/Bindings.h"

#include "ringc/compiler/frontend/Walk.h"
#include "ringc/support/ClosestName.h"
#include "ringc/support/Error.h"

#include <algorithm>

namespace ringc {

using frontend::ConstantDecl;
using frontend::FunctionDecl;
using frontend::KernelDecl;
using frontend::Program;

namespace {

constexpr int64_t largestConstant = 1 << 20;
constexpr int64_t largestTile = 1 << 20; // 4 MiB of f32

std::string joined(const std::vector<std::string> &names) {
  std::string result;
  for (const std::string &name : names)
    result += (result.empty() ? "" : ", ") + name;
  return result.empty() ? "none" : result;
}

std::vector<std::string> functionNames(const Program &program, FunctionDecl::Kind kind) {
  std::vector<std::string> names;
  for (auto modules : {program.userModules(), program.libraryModules()})
    for (const frontend::Module *module : modules)
      for (const auto &function : module->functions)
        if (function->kind == kind)
          names.push_back(function->name);
  return names;
}

/// What FILE:NAME may be; the library is not in a file.
std::string functionsOfFile(const Program &program, FunctionDecl::Kind kind,
                            const FunctionName &wanted) {
  std::vector<std::string> names;
  for (const frontend::Module *module : program.userModules())
    if (module->source->name == wanted.file)
      for (const auto &function : module->functions)
        if (function->kind == kind)
          names.push_back(wanted.file + ":" + function->name);
  if (names.empty())
    return "a " + std::string(keyword(kind)) + " of that file, which has none";
  std::vector<std::string_view> views(names.begin(), names.end());
  return joined(names) + didYouMean(wanted.file + ":" + wanted.name, views);
}

std::vector<std::string> constantNames(const KernelDecl &kernel, ConstantDecl::Kind kind) {
  std::vector<std::string> names;
  for (const ConstantDecl &constant : kernel.constants)
    if (constant.kind == kind)
      names.push_back(constant.name);
  return names;
}

/// FILE:NAME is in that file alone, NAME in `file` (none where empty) or else in the library.
const FunctionDecl *findFunction(const Program &program, const std::string &text,
                                 FunctionDecl::Kind kind, const std::string &file) {
  FunctionName name = splitFunctionName(text);
  const FunctionDecl *found = program.findFunction(name.file.empty() ? file : name.file, name.name);
  for (const frontend::Module *module : program.libraryModules())
    if (name.file.empty() && (!found || found->kind != kind))
      found = module->findFunction(name.name);
  if (!found || found->kind != kind)
    throw InputError(keyword(kind), text,
                     name.file.empty() ? joined(functionNames(program, kind))
                                       : functionsOfFile(program, kind, name));
  return found;
}

std::vector<const FunctionDecl *> findFunctions(const Program &program,
                                                const std::vector<std::string> &names,
                                                FunctionDecl::Kind kind, const std::string &file) {
  std::vector<const FunctionDecl *> functions;
  for (const std::string &name : names) {
    const FunctionDecl *function = findFunction(program, name, kind, file);
    if (std::ranges::find(functions, function) != functions.end())
      throw InputError(keyword(kind), name, "each name once");
    functions.push_back(function);
  }
  return functions;
}

std::optional<int64_t> integerFor(const ConstantDecl &constant, const Spec &spec,
                                  const TileConfig &config) {
  if (auto given = spec.constants.find(constant.name); given != spec.constants.end())
    return given->second;
  if (constant.name == "D")
    return spec.headDim;
  if (constant.name == "Dv")
    return spec.valueDim();
  for (const auto &[dimension, size] : config.tile)
    if (tileConstant(dimension) == constant.name)
      return size;
  return constant.defaultInteger;
}

std::optional<ElementType> typeFor(const ConstantDecl &constant, const Spec &spec) {
  if (auto given = spec.types.find(constant.name); given != spec.types.end())
    return given->second;
  if (constant.name == "T")
    return spec.dtype;
  for (auto [type, name] : EnumNames<ElementType>::table)
    if (name == constant.defaultName)
      return type;
  return std::nullopt;
}

/// The spec may say nothing about constants that the kernel lacks.
template <class Value>
void checkKnown(const KernelDecl &kernel, const std::map<std::string, Value> &given,
                const char *field, ConstantDecl::Kind kind) {
  for (const auto &entry : given) {
    const ConstantDecl *constant = kernel.findConstant(entry.first);
    if (!constant || constant->kind != kind)
      throw InputError(std::string(field) + " of kernel " + kernel.name, entry.first,
                       joined(constantNames(kernel, kind)));
  }
}

int64_t sizeOf(const frontend::Extent &extent, const Bindings &bindings) {
  return extent.isNumber() ? extent.number : bindings.integers.at(extent.name);
}

/// Constants that are each fine can make a tile that no cache and no compiler would like.
void checkTiles(const KernelDecl &kernel, const Bindings &bindings) {
  walk(kernel.body, [&](const frontend::Expr &expr) {
    if (!expr.type.isTile())
      return;
    int64_t rows = sizeOf(expr.type.shape[0], bindings),
            cols = sizeOf(expr.type.shape[1], bindings);
    if (rows * cols > largestTile)
      throw InputError(print(expr.type) + " at " + kernel.source->name + ":" +
                           std::to_string(expr.location.line) + ":" +
                           std::to_string(expr.location.column),
                       std::to_string(rows) + " x " + std::to_string(cols) + " elements",
                       "at most " + std::to_string(largestTile));
  });
}

/// Parameters are arguments called `function.parameter`, so one name must mean one function in all
/// of the kernel. The library's functions keep their names, which the runtime knows.
void qualifyNames(const KernelDecl &kernel, const Program &program, Bindings &bindings) {
  std::map<std::string, std::vector<const FunctionDecl *>> byName;
  auto add = [&](const FunctionDecl *function) {
    std::vector<const FunctionDecl *> &same = byName[function->name];
    if (std::ranges::find(same, function) == same.end())
      same.push_back(function);
  };
  for (const auto &entry : bindings.functions)
    for (const FunctionDecl *function : entry.second)
      add(function);
  walk(kernel.body, [&](const frontend::Expr &expr) {
    auto *call = std::get_if<frontend::CallExpr>(&expr.node);
    if (call && call->target == frontend::CallExpr::Target::Function &&
        call->function->kind != FunctionDecl::Kind::Function)
      add(call->function);
  });
  for (const auto &[name, same] : byName)
    for (const FunctionDecl *function : same)
      if (same.size() > 1 && program.findFunction(function->source->name, name) == function)
        bindings.qualifiedNames[function] = function->source->name + ":" + name;
}

} // namespace

std::string Bindings::nameOf(const FunctionDecl &function) const {
  auto qualified = qualifiedNames.find(&function);
  return qualified == qualifiedNames.end() ? function.name : qualified->second;
}

const KernelDecl &findKernel(const Program &program, const Spec &spec) {
  if (const KernelDecl *kernel = program.findKernel(spec.kernel))
    return *kernel;
  std::vector<std::string> names;
  for (auto modules : {program.userModules(), program.libraryModules()})
    for (const frontend::Module *module : modules)
      for (const auto &kernel : module->kernels)
        names.push_back(kernel->name);
  throw InputError("kernel", spec.kernel, joined(names));
}

Bindings bind(const KernelDecl &kernel, const Program &program, const Spec &spec,
              const TileConfig &config) {
  checkKnown(kernel, spec.constants, "constants", ConstantDecl::Kind::Integer);
  checkKnown(kernel, spec.types, "types", ConstantDecl::Kind::Type);
  Bindings bindings;
  bindings.groupSize = spec.groupSize;
  bindings.headMap = spec.headMap;
  bindings.f32Products = spec.f32Products;
  bindings.queryLayout = spec.queryLayout;
  bindings.keyLayout = spec.keyLayout;
  for (const ConstantDecl &constant : kernel.constants) {
    std::string what = "constant " + constant.name + " of kernel " + kernel.name;
    switch (constant.kind) {
    case ConstantDecl::Kind::Integer: {
      std::optional<int64_t> value = integerFor(constant, spec, config);
      if (!value || *value < 1 || *value > largestConstant)
        throw InputError(what, value ? std::to_string(*value) : "nothing",
                         "1 to " + std::to_string(largestConstant) + ", in the field constants");
      bindings.integers[constant.name] = *value;
      break;
    }
    case ConstantDecl::Kind::Type: {
      std::optional<ElementType> type = typeFor(constant, spec);
      if (!type || *type == ElementType::I32 || *type == ElementType::Bool)
        throw InputError(what, type ? std::string(enumName(*type)) : "nothing",
                         "f32, f16, bf16, in the field types");
      bindings.types[constant.name] = *type;
      break;
    }
    case ConstantDecl::Kind::Predicate:
    case ConstantDecl::Kind::Function: {
      bool isMask = constant.kind == ConstantDecl::Kind::Predicate;
      auto kind = isMask ? FunctionDecl::Kind::Mask : FunctionDecl::Kind::Score;
      std::vector<std::string> names;
      if (constant.name == (isMask ? "mask" : "score"))
        names = isMask ? spec.mask : spec.score;
      bool isDefault = names.empty() && !constant.defaultName.empty();
      if (isDefault)
        names.push_back(constant.defaultName);
      bindings.functions[constant.name] =
          findFunctions(program, names, kind, isDefault ? kernel.source->name : spec.source);
      break;
    }
    }
  }
  qualifyNames(kernel, program, bindings);
  checkTiles(kernel, bindings);
  return bindings;
}

} // namespace ringc
