#pragma once

#include "ringc/compiler/frontend/Ast.h"

namespace ringc::frontend {

/// Calls visit(expr) for the expression and all below it, parents first.
template <class Visit> void walk(const Expr &expr, const Visit &visit) {
  visit(expr);
  auto child = [&](const ExprPtr &inner) {
    if (inner)
      walk(*inner, visit);
  };
  if (auto *unary = std::get_if<UnaryExpr>(&expr.node)) {
    child(unary->operand);
  } else if (auto *binary = std::get_if<BinaryExpr>(&expr.node)) {
    child(binary->lhs);
    child(binary->rhs);
  } else if (auto *conditional = std::get_if<ConditionalExpr>(&expr.node)) {
    child(conditional->condition);
    child(conditional->whenTrue);
    child(conditional->whenFalse);
  } else if (auto *call = std::get_if<CallExpr>(&expr.node)) {
    for (const ExprPtr &argument : call->arguments)
      child(argument);
  } else if (auto *subscript = std::get_if<SubscriptExpr>(&expr.node)) {
    for (const AxisRange &axis : subscript->axes)
      child(axis.offset);
    child(subscript->fill);
  }
}

/// The same for every expression of a block and the blocks in it, in the order of the text.
template <class Visit> void walk(const Block &block, const Visit &visit) {
  struct Statements {
    const Visit &visit;
    void each(const std::vector<ExprPtr> &list) const {
      for (const ExprPtr &expr : list)
        walk(*expr, visit);
    }
    void operator()(const LetStatement &let) const { walk(*let.value, visit); }
    void operator()(const VarStatement &var) const { walk(*var.value, visit); }
    void operator()(const ResumeStatement &resume) const { each(resume.initial); }
    void operator()(const AssignStatement &assign) const { walk(*assign.value, visit); }
    void operator()(const StoreStatement &store) const {
      walk(*store.target, visit);
      walk(*store.value, visit);
    }
    void operator()(const ForStatement &loop) const {
      walk(*loop.lower, visit);
      walk(*loop.upper, visit);
      if (loop.predicate)
        walk(*loop.predicate, visit);
      walk(loop.body, visit);
    }
    void operator()(const FinishStatement &finish) const {
      each(finish.values);
      walk(finish.body, visit);
    }
    void operator()(const ReturnStatement &result) const { walk(*result.value, visit); }
  };
  for (const Statement &statement : block)
    std::visit(Statements{visit}, statement.node);
}

} // namespace ringc::frontend
