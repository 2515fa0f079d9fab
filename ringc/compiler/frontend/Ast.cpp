#include "ringc/compiler/frontend/Ast.h"

#include <algorithm>

namespace ringc::frontend {

bool KernelDecl::perHead() const {
  return std::ranges::any_of(parameters, [](const Parameter &parameter) {
    return std::ranges::any_of(parameter.type.shape, [](const Extent &extent) {
      return extent.name == "Nq" || extent.name == "Nk";
    });
  });
}

const ConstantDecl *KernelDecl::findConstant(std::string_view wanted) const {
  for (const ConstantDecl &constant : constants)
    if (constant.name == wanted)
      return &constant;
  return nullptr;
}

const Parameter *KernelDecl::findParameter(std::string_view wanted) const {
  for (const Parameter &parameter : parameters)
    if (parameter.name == wanted)
      return &parameter;
  return nullptr;
}

const FunctionDecl *Module::findFunction(std::string_view name) const {
  for (const auto &function : functions)
    if (function->kind != FunctionDecl::Kind::Derivative && function->name == name)
      return function.get();
  return nullptr;
}

const FunctionDecl *Module::findDerivative(std::string_view score) const {
  for (const auto &function : functions)
    if (function->kind == FunctionDecl::Kind::Derivative && function->name == score)
      return function.get();
  return nullptr;
}

const KernelDecl *Module::findKernel(std::string_view name) const {
  for (const auto &kernel : kernels)
    if (kernel->name == name)
      return kernel.get();
  return nullptr;
}

const char *keyword(FunctionDecl::Kind kind) {
  switch (kind) {
  case FunctionDecl::Kind::Mask:
    return "mask";
  case FunctionDecl::Kind::Score:
    return "score";
  case FunctionDecl::Kind::Derivative:
    return "derivative";
  case FunctionDecl::Kind::Function:
    return "function";
  }
  return "";
}

const char *spelling(BinaryOp op) {
  switch (op) {
  case BinaryOp::Or:
    return "or";
  case BinaryOp::And:
    return "and";
  case BinaryOp::Equal:
    return "==";
  case BinaryOp::NotEqual:
    return "!=";
  case BinaryOp::Less:
    return "<";
  case BinaryOp::LessEqual:
    return "<=";
  case BinaryOp::Greater:
    return ">";
  case BinaryOp::GreaterEqual:
    return ">=";
  case BinaryOp::Add:
    return "+";
  case BinaryOp::Subtract:
    return "-";
  case BinaryOp::Multiply:
    return "*";
  case BinaryOp::Divide:
    return "/";
  case BinaryOp::Remainder:
    return "%";
  }
  return "";
}

} // namespace ringc::frontend
