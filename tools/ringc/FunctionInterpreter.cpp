#include "tools/ringc/FunctionInterpreter.h"

#include "tools/ringc/ScalarValue.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <stdexcept>

namespace ringc::cli {

using namespace frontend;

namespace {

bool isReal(const Type &type) { return type.isScalar() && type.element.isFloat(); }

/// An argument in the type that the parameter has.
ArgumentValue typed(const ArgumentValue &value, const Type &type) {
  return isReal(type) ? ArgumentValue(double(float(realOf(value)))) : value;
}

} // namespace

bool FunctionInterpreter::visible(const std::vector<BoundFunction> &masks,
                                  const LogitPlace &place) const {
  return std::ranges::all_of(masks, [&](const BoundFunction &mask) {
    return truthOf(apply(mask, *mask.declaration, place, nullptr));
  });
}

double FunctionInterpreter::score(double s, const std::vector<BoundFunction> &scores,
                                  const LogitPlace &place) const {
  for (const BoundFunction &function : scores)
    s = realOf(apply(function, *function.declaration, place, &s));
  return s;
}

double FunctionInterpreter::slope(double s, const std::vector<BoundFunction> &scores,
                                  const LogitPlace &place) const {
  FunctionInterpreter exactly(first);
  double product = 1;
  for (const BoundFunction &function : scores) {
    if (function.derivative) {
      product *= realOf(apply(function, *function.derivative, place, &s));
    } else {
      double step = 1e-5 * std::max(1.0, std::abs(s));
      product *= (exactly.score(s + step, {function}, place) -
                  exactly.score(s - step, {function}, place)) /
                 (2 * step);
    }
    s = score(s, {function}, place);
  }
  return product;
}

ArgumentValue FunctionInterpreter::call(const FunctionDecl &function,
                                        std::span<const ArgumentValue> arguments) const {
  Frame frame{function};
  for (size_t at = 0; at < arguments.size(); ++at) {
    const Parameter &parameter = function.parameters[at];
    frame.names[parameter.name] = arguments[at];
    if (dataIsExact && isReal(parameter.type))
      frame.exact.insert(parameter.name);
  }
  bool exact = false;
  return body(frame, exact);
}

ArgumentValue FunctionInterpreter::apply(const BoundFunction &function,
                                         const FunctionDecl &declaration, const LogitPlace &place,
                                         const double *s) const {
  Frame frame{declaration};
  std::vector<ArgumentValue> positions = {place.b, place.h, place.i, place.j};
  if (s) {
    positions.insert(positions.begin(), *s);
    if (dataIsExact)
      frame.exact.insert(declaration.parameters[0].name);
  }
  for (size_t at = 0; at < declaration.parameters.size(); ++at) {
    const Parameter &parameter = declaration.parameters[at];
    frame.names[parameter.name] =
        at < positions.size() ? positions[at]
                              : typed(function.arguments.at(parameter.name), parameter.type);
  }
  bool exact = false;
  return body(frame, exact);
}

ArgumentValue FunctionInterpreter::body(Frame &frame, bool &exact) const {
  for (const Statement &statement : frame.declaration.body) {
    if (auto *let = std::get_if<LetStatement>(&statement.node)) {
      bool own = false;
      frame.names[let->name] = evaluate(frame, *let->value, own);
      if (own)
        frame.exact.insert(let->name);
    } else {
      return evaluate(frame, *std::get<ReturnStatement>(statement.node).value, exact);
    }
  }
  throw std::logic_error("a function without return");
}

ArgumentValue FunctionInterpreter::evaluate(Frame &frame, const Expr &expr, bool &exact) const {
  bool own = false;
  ArgumentValue value = unrounded(frame, expr, own);
  exact |= own;
  auto *number = std::get_if<double>(&value);
  return number && !own ? ArgumentValue(double(float(*number))) : value;
}

ArgumentValue FunctionInterpreter::unrounded(Frame &frame, const Expr &expr, bool &exact) const {
  if (auto *literal = std::get_if<IntLiteral>(&expr.node))
    return isReal(expr.type) ? ArgumentValue(double(literal->value))
                             : ArgumentValue(literal->value);
  if (auto *literal = std::get_if<FloatLiteral>(&expr.node))
    return literal->value;
  if (auto *literal = std::get_if<BoolLiteral>(&expr.node))
    return literal->value;
  if (auto *name = std::get_if<NameExpr>(&expr.node)) {
    if (name->kind == NameExpr::Kind::Log2e)
      return std::numbers::log2e;
    if (name->kind == NameExpr::Kind::Ln2)
      return std::numbers::ln2;
    exact |= frame.exact.contains(name->name);
    return frame.names.at(name->name);
  }
  if (auto *unary = std::get_if<UnaryExpr>(&expr.node)) {
    ArgumentValue operand = evaluate(frame, *unary->operand, exact);
    return unary->op == UnaryOp::Not ? ArgumentValue(!truthOf(operand)) : negated(operand);
  }
  if (auto *operation = std::get_if<BinaryExpr>(&expr.node)) {
    ArgumentValue a = evaluate(frame, *operation->lhs, exact);
    return binary(operation->op, a, evaluate(frame, *operation->rhs, exact));
  }
  if (auto *conditional = std::get_if<ConditionalExpr>(&expr.node))
    return evaluate(frame,
                    truthOf(evaluate(frame, *conditional->condition, exact))
                        ? *conditional->whenTrue
                        : *conditional->whenFalse,
                    exact);
  if (auto *call = std::get_if<CallExpr>(&expr.node))
    return evaluateCall(frame, *call, expr.type, exact);
  return element(frame, std::get<SubscriptExpr>(expr.node), exact);
}

ArgumentValue FunctionInterpreter::evaluateCall(Frame &frame, const CallExpr &call,
                                                const Type &type, bool &exact) const {
  std::vector<ArgumentValue> arguments;
  std::vector<bool> areExact;
  for (const ExprPtr &argument : call.arguments) {
    bool own = false;
    arguments.push_back(evaluate(frame, *argument, own));
    areExact.push_back(own);
  }
  if (call.target == CallExpr::Target::Function) {
    Frame inner{*call.function};
    for (size_t at = 0; at < arguments.size(); ++at) {
      const std::string &name = call.function->parameters[at].name;
      inner.names[name] = arguments[at];
      if (areExact[at])
        inner.exact.insert(name);
    }
    return body(inner, exact);
  }
  exact |= std::ranges::count(areExact, true) > 0;
  return builtin(call.builtin, arguments, type.element.isFloat());
}

ArgumentValue FunctionInterpreter::element(Frame &frame, const SubscriptExpr &subscript,
                                           bool &exact) const {
  const Parameter &parameter =
      *std::ranges::find(frame.declaration.parameters, subscript.view, &Parameter::name);
  const Tensor &tensor = std::get<Tensor>(frame.names.at(subscript.view));
  std::vector<int64_t> index;
  for (size_t axis = 0; axis < subscript.axes.size(); ++axis) {
    int64_t at = integerOf(evaluate(frame, *subscript.axes[axis].offset, exact));
    if (parameter.type.shape[axis].name == "Nq")
      at -= first;
    // An extent of 1 broadcasts; what lies outside reads the nearest element.
    index.push_back(std::max<int64_t>(0, std::min(at, tensor.dim(int(axis)) - 1)));
  }
  return load(tensor, index);
}

} // namespace ringc::cli
