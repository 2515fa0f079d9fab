#include "ringc/compiler/frontend/Printer.h"

#include "ringc/compiler/frontend/Builtins.h"

#include <charconv>
#include <cmath>

namespace ringc::frontend {

namespace {

// How tightly a node binds: an operand that binds less than its place needs parentheses.
enum Strength { Conditional, Or, And, Not, Comparison, Sum, Product, Negation, Postfix, Primary };

Strength strengthOf(BinaryOp op) {
  switch (op) {
  case BinaryOp::Or:
    return Or;
  case BinaryOp::And:
    return And;
  case BinaryOp::Equal:
  case BinaryOp::NotEqual:
  case BinaryOp::Less:
  case BinaryOp::LessEqual:
  case BinaryOp::Greater:
  case BinaryOp::GreaterEqual:
    return Comparison;
  case BinaryOp::Add:
  case BinaryOp::Subtract:
    return Sum;
  case BinaryOp::Multiply:
  case BinaryOp::Divide:
  case BinaryOp::Remainder:
    return Product;
  }
  return Primary;
}

class Printer {
public:
  std::string take() { return std::move(out); }

  void function(const FunctionDecl &decl) {
    out += std::string(keyword(decl.kind)) + " " + decl.name;
    parameters(decl.parameters);
    if (decl.kind == FunctionDecl::Kind::Function)
      out += " -> " + print(decl.result);
    block(decl.body);
    out += "\n";
  }

  void kernel(const KernelDecl &decl) {
    out += "kernel " + decl.name;
    const char *separator = "<";
    for (const ConstantDecl &each : decl.constants) {
      out += separator;
      constant(each);
      separator = ", ";
    }
    if (!decl.constants.empty())
      out += ">";
    parameters(decl.parameters);
    separator = " over ";
    for (const GridAxisDecl &axis : decl.grid) {
      out += separator + axis.variable + " in " + print(axis.extent) + " step " + print(axis.step);
      separator = ", ";
    }
    block(decl.body);
    out += "\n";
  }

  void expr(const Expr &node, Strength weakest) {
    bool parenthesised = strength(node) < weakest;
    if (parenthesised)
      out += "(";
    std::visit([&](const auto &inner) { write(inner); }, node.node);
    if (parenthesised)
      out += ")";
  }

private:
  static Strength strength(const Expr &expr) {
    if (auto *binary = std::get_if<BinaryExpr>(&expr.node))
      return strengthOf(binary->op);
    if (std::holds_alternative<ConditionalExpr>(expr.node))
      return Conditional;
    if (auto *unary = std::get_if<UnaryExpr>(&expr.node))
      return unary->op == UnaryOp::Not ? Not : unary->op == UnaryOp::Negate ? Negation : Postfix;
    auto *integer = std::get_if<IntLiteral>(&expr.node);
    return integer && integer->value < 0 ? Negation : Primary;
  }

  void constant(const ConstantDecl &decl) {
    out += decl.name;
    switch (decl.kind) {
    case ConstantDecl::Kind::Integer:
      break;
    case ConstantDecl::Kind::Type:
      out += ": type";
      break;
    case ConstantDecl::Kind::Predicate:
      out += ": predicate";
      break;
    case ConstantDecl::Kind::Function:
      out += ": function";
      break;
    }
    if (decl.defaultInteger)
      out += " = " + std::to_string(*decl.defaultInteger);
    if (!decl.defaultName.empty())
      out += " = " + decl.defaultName;
  }

  void parameters(const std::vector<Parameter> &list) {
    out += "(";
    for (const Parameter &parameter : list) {
      if (&parameter != &list.front())
        out += ", ";
      out += parameter.name + ": " + print(parameter.type);
    }
    out += ")";
  }

  void block(const Block &statements) {
    out += " {\n";
    ++indent;
    for (const Statement &statement : statements) {
      line();
      std::visit([&](const auto &node) { write(node); }, statement.node);
      out += "\n";
    }
    --indent;
    line();
    out += "}";
  }

  void line() { out.append(static_cast<size_t>(indent) * 2, ' '); }

  void list(const std::vector<ExprPtr> &values) {
    out += "(";
    for (const ExprPtr &value : values) {
      if (&value != &values.front())
        out += ", ";
      expr(*value, Conditional);
    }
    out += ")";
  }

  void write(const LetStatement &let) {
    out += "let " + let.name + " = ";
    expr(*let.value, Conditional);
  }
  void write(const VarStatement &var) {
    out += "var " + var.name + " = ";
    expr(*var.value, Conditional);
  }
  void write(const ResumeStatement &resume) {
    out += "var (";
    for (const std::string &name : resume.names)
      out += (&name == &resume.names.front() ? "" : ", ") + name;
    out += ") = resume " + resume.carry + " else ";
    list(resume.initial);
  }
  void write(const AssignStatement &assign) {
    out += assign.name + " " + (assign.op ? spelling(*assign.op) : "") + "= ";
    expr(*assign.value, Conditional);
  }
  void write(const StoreStatement &store) {
    expr(*store.target, Conditional);
    out += store.adds ? " += " : " = ";
    expr(*store.value, Conditional);
  }
  void write(const ForStatement &loop) {
    out += "for " + loop.variable + " in ";
    expr(*loop.lower, Conditional);
    out += " .. ";
    expr(*loop.upper, Conditional);
    out += " step " + print(loop.step);
    if (loop.predicate) {
      out += " if " + loop.seen + " = ";
      expr(*loop.predicate, Conditional);
    }
    block(loop.body);
  }
  void write(const FinishStatement &finish) {
    out += "finish " + finish.carry;
    list(finish.values);
    block(finish.body);
  }
  void write(const ReturnStatement &result) {
    out += "return ";
    expr(*result.value, Conditional);
  }

  void write(const IntLiteral &literal) { out += std::to_string(literal.value); }
  void write(const FloatLiteral &literal) {
    if (std::isinf(literal.value)) {
      out += "inf";
      return;
    }
    char buffer[64];
    auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, literal.value);
    std::string text(buffer, end);
    if (text.find_first_of(".e") == text.npos)
      text += ".0";
    out += text;
  }
  void write(const BoolLiteral &literal) { out += literal.value ? "true" : "false"; }
  void write(const NameExpr &name) { out += name.name; }
  void write(const UnaryExpr &unary) {
    switch (unary.op) {
    case UnaryOp::Negate:
      out += "-";
      return expr(*unary.operand, Negation);
    case UnaryOp::Not:
      out += "not ";
      return expr(*unary.operand, Not);
    case UnaryOp::Transpose:
      expr(*unary.operand, Postfix);
      out += "^T";
    }
  }
  void write(const BinaryExpr &binary) {
    Strength strength = strengthOf(binary.op);
    auto tighter = static_cast<Strength>(strength + 1);
    expr(*binary.lhs, strength == Comparison ? tighter : strength);
    out += std::string(" ") + spelling(binary.op) + " ";
    expr(*binary.rhs, tighter);
  }
  void write(const ConditionalExpr &conditional) {
    expr(*conditional.condition, Or);
    out += " ? ";
    expr(*conditional.whenTrue, Conditional);
    out += " : ";
    expr(*conditional.whenFalse, Conditional);
  }
  void write(const CallExpr &call) {
    out += call.isDerivative ? "derivative(" + call.callee + ")" : call.callee;
    if (call.element)
      out += "<" + print(*call.element) + ">";
    if (!call.shape.empty())
      out += "[" + print(call.shape) + "]";
    if (call.callee != "zeros" || !call.arguments.empty() || call.shape.empty())
      list(call.arguments);
  }
  void write(const SubscriptExpr &subscript) {
    out += subscript.view + "[";
    for (const AxisRange &axis : subscript.axes) {
      if (&axis != &subscript.axes.front())
        out += ", ";
      if (axis.offset)
        expr(*axis.offset, Conditional);
      if (axis.kind == AxisRange::Kind::Window)
        out += " : " + print(axis.size);
      else if (axis.kind == AxisRange::Kind::Whole)
        out += ":";
    }
    if (subscript.fill) {
      out += " else ";
      expr(*subscript.fill, Conditional);
    }
    out += "]";
  }

  std::string out;
  int indent = 0;
};

} // namespace

std::string print(const Module &module) {
  Printer printer;
  for (const auto &function : module.functions)
    printer.function(*function);
  for (const auto &kernel : module.kernels)
    printer.kernel(*kernel);
  return printer.take();
}

std::string print(const FunctionDecl &function) {
  Printer printer;
  printer.function(function);
  return printer.take();
}

std::string print(const KernelDecl &kernel) {
  Printer printer;
  printer.kernel(kernel);
  return printer.take();
}

std::string print(const Expr &expr) {
  Printer printer;
  printer.expr(expr, Conditional);
  return printer.take();
}

} // namespace ringc::frontend
