#pragma once

#include "ringc/compiler/predicate/Expression.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <vector>

namespace ringc::predicate {

/// An inclusive range of values that contains every value which an expression takes over a box of
/// positions.
///
/// One evaluator serves the host (ring plans, tests: a scalar is a number) and the loop-split pass
/// (a scalar is an SSA value, and evaluating emits IR). Over i in [64, 127] and j in [0, 63]:
///
///     i - j          [1, 127]
///     (i - j) % 4    [0, 3]
///     i - j >= 0     [1, 1], always
///     i - j <= 32    [0, 1], maybe
///
/// The law: sound always. Nothing is assumed of how operands depend on one another: i - i is
/// [-63, 63]. Comparisons of sums and differences in which each variable occurs once are exact, and
/// so causal, window and prefix masks are.
///
/// * Int: within i32. Arithmetic is done in 64 bits; where a result may leave i32, and the kernel's
///   wraps, it is all of i32.
/// * Float: finite, or both ends NaN: unknown, with NaN and infinity. Arithmetic carries that on.
/// * Bool: [0,0] never, [1,1] always, [0,1] maybe.
///
/// `known` is false where it is clear without evaluating that there is nothing to be said (and for
/// SSA values no IR is wasted); the ends are then not set. A Bool is always known.
template <class Domain> struct Interval {
  typename Domain::Scalar low{};
  typename Domain::Scalar high{};
  bool known = false;
};

/// The values over which to evaluate. The parameter callback may answer with an unknown interval.
template <class Domain> struct Environment {
  std::array<Interval<Domain>, variableCount> variables; ///< indexed by Variable; Int
  std::function<Interval<Domain>(const Node &parameter)> parameter;
};

/// The interval of the root of `expression`.
///
/// A Domain is not copied, and gives
///
///   Scalar                           one type for i64, f32 and bool
///   constantInt(int64_t), constantFloat(float), constantBool(bool)
///   add sub mul min max (a, b)       i64; nothing overflows
///   floorDiv(a, b)                   i64; b is never 0
///   lessInt lessEqualInt (a, b)      i64, signed
///   select(condition, a, b)          all types
///   conjunction disjunction (a, b), negation(a)
///   addFloat subFloat mulFloat divFloat (a, b)
///                                    f32, IEEE: not reassociated, not contracted, NaN kept
///   minFloat maxFloat (a, b)         NaN where either is
///   absFloat exp exp2 log log2 tanh sqrt (a)
///   lessFloat lessEqualFloat (a, b)  false where either is NaN
///   intToFloat(a)                    rounds to nearest
///   floatToInt(a)                    rounds towards zero; a is within i32
///   Interval<Domain> elementRange(const Node &, std::span<const Interval<Domain>> indices)
///                                    bounds of the elements in that box of indices, or unknown
template <class Domain>
Interval<Domain> evaluate(const Expression &expression, Domain &domain,
                          const Environment<Domain> &environment);

namespace detail {

template <class Domain> class IntervalEvaluator {
  using Scalar = typename Domain::Scalar;
  using Range = Interval<Domain>;

public:
  IntervalEvaluator(Domain &domain, const Environment<Domain> &values)
      : d(domain), environment(values) {}

  Range run(std::span<const Node> nodes) {
    std::vector<Range> ranges(nodes.size());
    for (size_t index = 0; index < nodes.size(); ++index) {
      std::vector<Range> operands;
      for (NodeId operand : nodes[index].operands)
        operands.push_back(ranges[operand]);
      ranges[index] = evaluate(nodes, nodes[index], operands);
    }
    return ranges.back();
  }

private:
  static constexpr int64_t intMin = std::numeric_limits<int32_t>::min();
  static constexpr int64_t intMax = std::numeric_limits<int32_t>::max();

  static Range exactly(Scalar value) { return {value, value, true}; }
  Range maybe() { return {d.constantBool(false), d.constantBool(true), true}; }
  Range anyInt() { return {d.constantInt(intMin), d.constantInt(intMax), true}; }
  Range anyFloat() { return exactly(d.constantFloat(std::numeric_limits<float>::quiet_NaN())); }

  /// `range` itself, or the widest of its type.
  Range materialise(const Range &range, ScalarType type) {
    if (range.known)
      return range;
    switch (type) {
    case ScalarType::Int:
      return anyInt();
    case ScalarType::Float:
      return anyFloat();
    case ScalarType::Bool:
      return maybe();
    }
    return maybe();
  }

  Range choose(Scalar condition, const Range &then, const Range &otherwise) {
    return {d.select(condition, then.low, otherwise.low),
            d.select(condition, then.high, otherwise.high), true};
  }

  /// All of i32 where an end lies outside.
  Range settleInt(Scalar low, Scalar high) {
    Range any = anyInt();
    Scalar inside = d.conjunction(d.lessEqualInt(any.low, low), d.lessEqualInt(high, any.high));
    return choose(inside, {low, high, true}, any);
  }

  /// Both ends NaN where one is not finite: x - x is 0 for finite x alone.
  Range settleFloat(Scalar low, Scalar high) {
    Scalar zero = d.addFloat(d.subFloat(low, low), d.subFloat(high, high));
    return {d.addFloat(low, zero), d.addFloat(high, zero), true};
  }

  /// Widened by `relative * |x| + absolute` for an operation that the kernel may round otherwise.
  Range settleRounded(Scalar low, Scalar high, float relative, float absolute) {
    auto slack = [&](Scalar end) {
      return d.addFloat(d.mulFloat(d.absFloat(end), d.constantFloat(relative)),
                        d.constantFloat(absolute));
    };
    return settleFloat(d.subFloat(low, slack(low)), d.addFloat(high, slack(high)));
  }

  /// A product may be fused into the sum that uses it: then it is not rounded at all.
  Range settleProduct(Scalar low, Scalar high) {
    return settleRounded(low, high, 0x1p-22f, std::numeric_limits<float>::min());
  }

  /// Kernels approximate exp2, log2, tanh and the like by polynomials of their own, to better than
  /// this.
  Range settleApproximated(Scalar low, Scalar high) {
    return settleRounded(low, high, 0x1p-18f, 0x1p-18f);
  }

  template <class Operation>
  Range hullOfCornersInt(const Range &a, const Range &b, Operation operation) {
    Scalar ll = operation(a.low, b.low), lh = operation(a.low, b.high);
    Scalar hl = operation(a.high, b.low), hh = operation(a.high, b.high);
    return settleInt(d.min(d.min(ll, lh), d.min(hl, hh)), d.max(d.max(ll, lh), d.max(hl, hh)));
  }

  template <class Operation>
  Range hullOfCornersFloat(const Range &a, const Range &b, Operation operation) {
    Scalar ll = operation(a.low, b.low), lh = operation(a.low, b.high);
    Scalar hl = operation(a.high, b.low), hh = operation(a.high, b.high);
    return settleProduct(d.minFloat(d.minFloat(ll, lh), d.minFloat(hl, hh)),
                         d.maxFloat(d.maxFloat(ll, lh), d.maxFloat(hl, hh)));
  }

  Range floorDiv(const Range &a, const Range &b) {
    Scalar zero = d.constantInt(0), one = d.constantInt(1);
    Scalar hasZero = d.conjunction(d.lessEqualInt(b.low, zero), d.lessEqualInt(zero, b.high));
    Range divisor = choose(hasZero, exactly(one), b);
    Range quotient =
        hullOfCornersInt(a, divisor, [&](Scalar x, Scalar y) { return d.floorDiv(x, y); });
    return choose(hasZero, anyInt(), quotient);
  }

  /// Exact where the divisor is one positive number and `a` lies within one period of it; otherwise
  /// the remainders of the largest divisor; anything where the divisor may be zero or of either
  /// sign.
  Range floorMod(const Range &a, const Range &b) {
    Scalar zero = d.constantInt(0), one = d.constantInt(1);
    Scalar positive = d.lessInt(zero, b.low);
    Scalar negative = d.lessInt(b.high, zero);
    Range remainders = {d.select(negative, d.add(b.low, one), zero),
                        d.select(negative, zero, d.sub(b.high, one)), true};
    Scalar signKnown = d.disjunction(positive, negative);
    remainders = choose(signKnown, remainders, anyInt());

    Scalar divisor = d.select(positive, b.low, one);
    Scalar period = d.floorDiv(a.low, divisor);
    Scalar within = d.conjunction(d.lessEqualInt(period, d.floorDiv(a.high, divisor)),
                                  d.lessEqualInt(d.floorDiv(a.high, divisor), period));
    Scalar exact = d.conjunction(d.conjunction(positive, within), d.lessEqualInt(b.high, b.low));
    Scalar start = d.mul(period, divisor);
    return choose(exact, {d.sub(a.low, start), d.sub(a.high, start), true}, remainders);
  }

  /// [surely, not surelyNot]
  Range decided(Scalar surely, Scalar surelyNot) { return {surely, d.negation(surelyNot), true}; }
  Range opposite(const Range &a) { return {d.negation(a.high), d.negation(a.low), true}; }

  Range less(const Range &a, const Range &b, ScalarType type) {
    if (type == ScalarType::Int)
      return decided(d.lessInt(a.high, b.low), d.lessEqualInt(b.high, a.low));
    return decided(d.lessFloat(a.high, b.low), d.lessEqualFloat(b.high, a.low));
  }
  Range lessEqual(const Range &a, const Range &b, ScalarType type) {
    if (type == ScalarType::Int)
      return decided(d.lessEqualInt(a.high, b.low), d.lessInt(b.high, a.low));
    return decided(d.lessEqualFloat(a.high, b.low), d.lessFloat(b.high, a.low));
  }
  Range equal(const Range &a, const Range &b, ScalarType type) {
    if (type == ScalarType::Bool) {
      Scalar bothTrue = d.conjunction(a.low, b.low);
      Scalar bothFalse = d.negation(d.disjunction(a.high, b.high));
      Scalar firstOnly = d.conjunction(a.low, d.negation(b.high));
      Scalar secondOnly = d.conjunction(b.low, d.negation(a.high));
      return decided(d.disjunction(bothTrue, bothFalse), d.disjunction(firstOnly, secondOnly));
    }
    // a <= b and b <= a, each of which is sound
    Range below = lessEqual(a, b, type), above = lessEqual(b, a, type);
    return {d.conjunction(below.low, above.low), d.conjunction(below.high, above.high), true};
  }

  Range select(const Range &condition, const Range &then, const Range &otherwise, ScalarType type) {
    Scalar low{}, high{};
    switch (type) {
    case ScalarType::Int:
      low = d.min(then.low, otherwise.low), high = d.max(then.high, otherwise.high);
      break;
    case ScalarType::Float:
      low = d.minFloat(then.low, otherwise.low), high = d.maxFloat(then.high, otherwise.high);
      break;
    case ScalarType::Bool:
      low = d.conjunction(then.low, otherwise.low), high = d.disjunction(then.high, otherwise.high);
      break;
    }
    return choose(condition.low, then, choose(condition.high, {low, high, true}, otherwise));
  }

  Range constant(const Node &node) {
    switch (node.type) {
    case ScalarType::Int:
      return exactly(d.constantInt(node.integer));
    case ScalarType::Bool:
      return exactly(d.constantBool(node.integer != 0));
    case ScalarType::Float: {
      Scalar value = d.constantFloat(static_cast<float>(node.real));
      return settleFloat(value, value);
    }
    }
    return {};
  }

  Range settledLeaf(Range range, ScalarType type) {
    if (type == ScalarType::Bool)
      return materialise(range, type);
    if (type == ScalarType::Float && range.known)
      return settleFloat(range.low, range.high);
    return range;
  }

  Range evaluate(std::span<const Node> nodes, const Node &node, std::vector<Range> &operands) {
    if (node.op == Op::Constant)
      return constant(node);
    if (node.op == Op::Variable)
      return environment.variables[static_cast<size_t>(node.variable)];
    if (node.op == Op::Parameter)
      return settledLeaf(environment.parameter(node), node.type);
    if (node.op == Op::Element)
      return settledLeaf(d.elementRange(node, std::span<const Range>(operands)), node.type);
    bool known = std::all_of(operands.begin(), operands.end(), [](auto &r) { return r.known; });
    if (!known && isOpaque(node.op, node.type))
      return settledLeaf({}, node.type);
    for (size_t index = 0; index < operands.size(); ++index)
      operands[index] = materialise(operands[index], nodes[node.operands[index]].type);
    return apply(node, nodes[node.operands[0]].type, operands);
  }

  /// Whether an unknown operand makes the result unknown; the others say something even so.
  static bool isOpaque(Op op, ScalarType result) {
    if (op == Op::Min || op == Op::Max || op == Op::Abs)
      return result == ScalarType::Float;
    return op != Op::FloorDiv && op != Op::FloorMod && op != Op::Select && op != Op::Random;
  }

  /// `type` is that of the first operand.
  Range apply(const Node &node, ScalarType type, const std::vector<Range> &operands) {
    bool isInt = type == ScalarType::Int;
    const Range &a = operands[0];
    const Range &b = operands[operands.size() > 1 ? 1 : 0];
    switch (node.op) {
    case Op::Constant:
    case Op::Variable:
    case Op::Parameter:
    case Op::Element:
      break;
    case Op::Add:
      return isInt ? settleInt(d.add(a.low, b.low), d.add(a.high, b.high))
                   : settleFloat(d.addFloat(a.low, b.low), d.addFloat(a.high, b.high));
    case Op::Sub:
      return isInt ? settleInt(d.sub(a.low, b.high), d.sub(a.high, b.low))
                   : settleFloat(d.subFloat(a.low, b.high), d.subFloat(a.high, b.low));
    case Op::Mul:
      if (isInt)
        return hullOfCornersInt(a, b, [&](Scalar x, Scalar y) { return d.mul(x, y); });
      return hullOfCornersFloat(a, b, [&](Scalar x, Scalar y) { return d.mulFloat(x, y); });
    case Op::Div: {
      Scalar zero = d.constantFloat(0);
      Scalar oneSign = d.disjunction(d.lessFloat(zero, b.low), d.lessFloat(b.high, zero));
      Range quotient =
          hullOfCornersFloat(a, b, [&](Scalar x, Scalar y) { return d.divFloat(x, y); });
      return choose(oneSign, quotient, anyFloat());
    }
    case Op::FloorDiv:
      return floorDiv(a, b);
    case Op::FloorMod:
      return floorMod(a, b);
    case Op::Min:
      return isInt ? Range{d.min(a.low, b.low), d.min(a.high, b.high), true}
                   : settleFloat(d.minFloat(a.low, b.low), d.minFloat(a.high, b.high));
    case Op::Max:
      return isInt ? Range{d.max(a.low, b.low), d.max(a.high, b.high), true}
                   : settleFloat(d.maxFloat(a.low, b.low), d.maxFloat(a.high, b.high));
    case Op::Abs:
      if (isInt) {
        Scalar zero = d.constantInt(0), negated = d.sub(zero, a.low);
        return settleInt(d.max(zero, d.max(a.low, d.sub(zero, a.high))), d.max(negated, a.high));
      } else {
        Scalar zero = d.constantFloat(0), negated = d.subFloat(zero, a.low);
        return settleFloat(d.maxFloat(zero, d.maxFloat(a.low, d.subFloat(zero, a.high))),
                           d.maxFloat(negated, a.high));
      }
    case Op::Neg:
      if (isInt)
        return settleInt(d.sub(d.constantInt(0), a.high), d.sub(d.constantInt(0), a.low));
      return settleFloat(d.subFloat(d.constantFloat(0), a.high),
                         d.subFloat(d.constantFloat(0), a.low));
    case Op::Eq:
      return equal(a, b, type);
    case Op::Ne:
      return opposite(equal(a, b, type));
    case Op::Lt:
      return less(a, b, type);
    case Op::Le:
      return lessEqual(a, b, type);
    case Op::Gt:
      return less(b, a, type);
    case Op::Ge:
      return lessEqual(b, a, type);
    case Op::And:
      return {d.conjunction(a.low, b.low), d.conjunction(a.high, b.high), true};
    case Op::Or:
      return {d.disjunction(a.low, b.low), d.disjunction(a.high, b.high), true};
    case Op::Not:
      return opposite(a);
    case Op::Select:
      return select(a, b, operands[2], node.type);
    case Op::IntToFloat:
      return settleFloat(d.intToFloat(a.low), d.intToFloat(a.high));
    case Op::FloatToInt: {
      // 2^31 is the first float beyond i32; NaN is not inside.
      Scalar inside = d.conjunction(d.lessEqualFloat(d.constantFloat(-0x1p31f), a.low),
                                    d.lessFloat(a.high, d.constantFloat(0x1p31f)));
      Range safe = choose(inside, a, exactly(d.constantFloat(0)));
      return choose(inside, {d.floatToInt(safe.low), d.floatToInt(safe.high), true}, anyInt());
    }
    case Op::Exp2:
      return settleApproximated(d.exp2(a.low), d.exp2(a.high));
    case Op::Log2: {
      Scalar positive = d.lessFloat(d.constantFloat(0), a.low);
      return choose(positive, settleApproximated(d.log2(a.low), d.log2(a.high)), anyFloat());
    }
    case Op::Tanh:
      return settleApproximated(d.tanh(a.low), d.tanh(a.high));
    case Op::Sqrt:
      return settleApproximated(d.sqrt(a.low), d.sqrt(a.high));
    case Op::Exp:
      return settleApproximated(d.exp(a.low), d.exp(a.high));
    case Op::Log: {
      Scalar positive = d.lessFloat(d.constantFloat(0), a.low);
      return choose(positive, settleApproximated(d.log(a.low), d.log(a.high)), anyFloat());
    }
    case Op::Sin:
    case Op::Cos:
    case Op::Erf: {
      Scalar zero = d.addFloat(d.subFloat(a.low, a.low), d.subFloat(a.high, a.high));
      return settleApproximated(d.addFloat(d.constantFloat(-1), zero),
                                d.addFloat(d.constantFloat(1), zero));
    }
    case Op::Random:
      return {d.constantFloat(0), d.constantFloat(1), true};
    }
    return {};
  }

  Domain &d;
  const Environment<Domain> &environment;
};

} // namespace detail

template <class Domain>
Interval<Domain> evaluate(const Expression &expression, Domain &domain,
                          const Environment<Domain> &environment) {
  return detail::IntervalEvaluator<Domain>(domain, environment).run(expression.nodes());
}

} // namespace ringc::predicate
