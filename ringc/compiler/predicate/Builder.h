#pragma once

#include "ringc/compiler/predicate/Expression.h"

namespace ringc::predicate {

/// Makes expressions bottom-up. Equal nodes are made once, so that a builder's expressions compare
/// equal when they are the same.
class Builder {
public:
  NodeId constant(int64_t value);
  NodeId constant(double value);
  NodeId constant(bool value);
  NodeId variable(Variable variable);
  NodeId parameter(std::string name, ScalarType type);
  NodeId element(std::string name, ScalarType type, std::vector<std::string> axes,
                 std::vector<NodeId> indices);
  /// Any operator; the operands must have types that it takes.
  NodeId apply(Op op, std::vector<NodeId> operands);

  ScalarType typeOf(NodeId node) const { return nodes[node].type; }

  /// The expression under `root`, without the nodes that it does not need. The builder may be used
  /// further.
  Expression build(NodeId root) const;

private:
  NodeId add(Node node);
  std::vector<Node> nodes;
};

/// A node with operators, for expressions written by hand:
///
///     (j <= i && (i - j) % step == 0).build()
///
/// Literals take the type of the other side. All terms of an expression come from one builder,
/// which must outlive them.
class Term {
public:
  Term(Builder &owner, NodeId node) : builder(&owner), id(node) {}
  static Term of(Builder &owner, Variable variable) { return {owner, owner.variable(variable)}; }

  NodeId node() const { return id; }
  Term literal(double value) const;
  Term apply(Op op) const { return {*builder, builder->apply(op, {id})}; }
  Term apply(Op op, Term other) const { return {*builder, builder->apply(op, {id, other.id})}; }
  Term select(Term then, Term otherwise) const {
    return {*builder, builder->apply(Op::Select, {id, then.id, otherwise.id})};
  }
  Expression build() const { return builder->build(id); }

  friend Term operator+(Term a, Term b) { return a.apply(Op::Add, b); }
  friend Term operator-(Term a, Term b) { return a.apply(Op::Sub, b); }
  friend Term operator*(Term a, Term b) { return a.apply(Op::Mul, b); }
  friend Term operator%(Term a, Term b) { return a.apply(Op::FloorMod, b); }
  friend Term operator/(Term a, Term b) {
    return a.apply(a.builder->typeOf(a.id) == ScalarType::Int ? Op::FloorDiv : Op::Div, b);
  }
  friend Term operator-(Term a) { return a.apply(Op::Neg); }
  friend Term operator==(Term a, Term b) { return a.apply(Op::Eq, b); }
  friend Term operator!=(Term a, Term b) { return a.apply(Op::Ne, b); }
  friend Term operator<(Term a, Term b) { return a.apply(Op::Lt, b); }
  friend Term operator<=(Term a, Term b) { return a.apply(Op::Le, b); }
  friend Term operator>(Term a, Term b) { return a.apply(Op::Gt, b); }
  friend Term operator>=(Term a, Term b) { return a.apply(Op::Ge, b); }
  friend Term operator&&(Term a, Term b) { return a.apply(Op::And, b); }
  friend Term operator||(Term a, Term b) { return a.apply(Op::Or, b); }
  friend Term operator!(Term a) { return a.apply(Op::Not); }

  friend Term operator+(Term a, double b) { return a + a.literal(b); }
  friend Term operator-(Term a, double b) { return a - a.literal(b); }
  friend Term operator*(Term a, double b) { return a * a.literal(b); }
  friend Term operator%(Term a, double b) { return a % a.literal(b); }
  friend Term operator/(Term a, double b) { return a / a.literal(b); }
  friend Term operator==(Term a, double b) { return a == a.literal(b); }
  friend Term operator!=(Term a, double b) { return a != a.literal(b); }
  friend Term operator<(Term a, double b) { return a < a.literal(b); }
  friend Term operator<=(Term a, double b) { return a <= a.literal(b); }
  friend Term operator>(Term a, double b) { return a > a.literal(b); }
  friend Term operator>=(Term a, double b) { return a >= a.literal(b); }

private:
  Builder *builder;
  NodeId id;
};

} // namespace ringc::predicate
