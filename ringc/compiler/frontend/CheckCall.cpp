#include "ringc/compiler/frontend/Checker.h"

#include <algorithm>
#include <cassert>

namespace ringc::frontend {

namespace {

bool isTile(const Type &type) { return type.isTile(); }

/// There are tiles, and all of them are of i32.
bool areIntegerTiles(const std::vector<Type> &types) {
  return std::ranges::any_of(types, isTile) && std::ranges::all_of(types, [](const Type &type) {
           return !type.isTile() || type.isTile(Element::Kind::I32);
         });
}

} // namespace

Type Checker::type(Expr &expr, CallExpr &call) {
  const Symbol *symbol = find(call.callee);
  const ConstantDecl *constant = symbol ? symbol->constant : nullptr;
  bool isConstant = constant && (constant->kind == ConstantDecl::Kind::Predicate ||
                                 constant->kind == ConstantDecl::Kind::Function);
  const BuiltinInfo *builtin = isConstant || call.isDerivative ? nullptr : findBuiltin(call.callee);
  if (builtin)
    return builtinCall(expr, call, *builtin);

  const FunctionDecl *callee = isConstant ? nullptr : findFunction(call.callee);
  if (!isConstant && !callee) {
    std::vector<std::string> names = functionNames(std::nullopt);
    for (const BuiltinInfo &each : builtins())
      names.emplace_back(each.name);
    if (kernel)
      for (const ConstantDecl &each : kernel->constants)
        if (each.kind == ConstantDecl::Kind::Predicate || each.kind == ConstantDecl::Kind::Function)
          names.push_back(each.name);
    sink.report(expr.location, Message::UnknownFunction,
                {call.callee, didYouMean(call.callee, names)});
    for (ExprPtr &argument : call.arguments) // what is wrong inside is worth saying too
      if (!std::holds_alternative<SubscriptExpr>(argument->node))
        checkExpr(*argument);
    return {};
  }
  if (call.element) {
    sink.report(call.elementLocation, Message::TakesNoElement, {call.callee});
    return {};
  }
  call.target = isConstant ? CallExpr::Target::Constant : CallExpr::Target::Function;
  call.function = callee;
  bool isMask = isConstant ? constant->kind == ConstantDecl::Kind::Predicate
                           : callee->kind == FunctionDecl::Kind::Mask;
  bool isScore = isConstant ? constant->kind == ConstantDecl::Kind::Function
                            : callee->kind == FunctionDecl::Kind::Score;
  if (call.isDerivative && !kernel) {
    sink.report(expr.location, Message::KernelOnly, {"derivative"});
    return {};
  }
  if (call.isDerivative && !isScore) {
    sink.report(expr.location, Message::NotADerivative, {call.callee});
    return {};
  }
  if (kernel && (isMask || isScore))
    return scoredCall(expr, call, isMask);
  return functionCall(expr, call);
}

bool Checker::checkCount(const CallExpr &call, Location location, size_t wanted) {
  if (call.arguments.size() == wanted)
    return true;
  sink.report(location, Message::ArgumentCount,
              {call.callee, counted(wanted, "argument"), std::to_string(call.arguments.size())});
  return false;
}

Type Checker::argumentError(const CallExpr &call, size_t argument, const std::string &wanted) {
  const Expr &expr = *call.arguments[argument];
  sink.report(expr.location, Message::ArgumentType,
              {std::to_string(argument + 1), call.callee, wanted, print(expr.type)});
  return {};
}

Type Checker::builtinCall(Expr &expr, CallExpr &call, const BuiltinInfo &builtin) {
  call.target = CallExpr::Target::Builtin;
  call.builtin = builtin.builtin;
  std::vector<Type> types;
  bool good = true;
  for (ExprPtr &argument : call.arguments) {
    types.push_back(checkExpr(*argument));
    good &= !types.back().isInvalid();
  }
  if (builtin.kernelOnly && !kernel) {
    sink.report(expr.location, Message::KernelOnly, {call.callee});
    return {};
  }
  if (!call.element && builtin.takesElement) {
    sink.report(expr.location, Message::NeedsElement,
                {call.callee, builtin.takesShape ? "[BQ, D]" : "(x)"});
    return {};
  }
  if ((call.element && !builtin.takesElement) || (!call.shape.empty() && !builtin.takesShape)) {
    sink.report(call.elementLocation, Message::TakesNoElement, {call.callee});
    return {};
  }
  if (!checkCount(call, expr.location, static_cast<size_t>(builtin.arguments)) || !good)
    return {};
  switch (builtin.builtin) {
  case Builtin::Min:
  case Builtin::Max:
  case Builtin::Abs:
  case Builtin::Tanh:
  case Builtin::Exp:
  case Builtin::Exp2:
  case Builtin::Log:
  case Builtin::Log2:
  case Builtin::Sqrt:
  case Builtin::Sin:
  case Builtin::Cos:
  case Builtin::Erf:
  case Builtin::Fma:
    return elementwise(expr, call, types);
  case Builtin::Random:
    return random(expr, call, types);
  case Builtin::Where:
    return choice(expr, call, types);
  case Builtin::Shortcut:
    return shortcut(expr, call, types);
  case Builtin::ToF32:
    return conversion(call, types[0], i32Element, f32Element);
  case Builtin::ToI32:
    return conversion(call, types[0], f32Element, i32Element);
  case Builtin::RowMax:
  case Builtin::RowSum:
    return reduction(call, types[0], 1);
  case Builtin::ColMax:
  case Builtin::ColSum:
    return reduction(call, types[0], 0);
  case Builtin::Dot:
    return product(call, types);
  case Builtin::Cast:
    if (!checkElement(*call.element, call.elementLocation))
      return {};
    if (!call.element->isFloat()) {
      sink.report(call.elementLocation, Message::FloatElement, {call.callee, print(*call.element)});
      return {};
    }
    if (!types[0].isTile() || types[0].element == boolElement)
      return argumentError(call, 0, "a tile of numbers");
    return Type::tile(*call.element, types[0].shape);
  case Builtin::Zeros:
  case Builtin::Full:
  case Builtin::Iota:
    return constructed(call, types);
  }
  return {};
}

Type Checker::reduction(const CallExpr &call, const Type &operand, int axis) {
  if (!operand.isTile(Element::Kind::F32))
    return argumentError(call, 0, "a tile of f32");
  std::vector<Extent> shape = operand.shape;
  shape[static_cast<size_t>(axis)] = {1, {}};
  return Type::tile(f32Element, shape);
}

/// min, max, abs and the functions of f32: on scalars and, element by element, on tiles.
Type Checker::elementwise(Expr &expr, const CallExpr &call, const std::vector<Type> &operands) {
  bool takesIntegers =
      call.builtin == Builtin::Min || call.builtin == Builtin::Max || call.builtin == Builtin::Abs;
  bool tiles = std::ranges::any_of(operands, isTile);
  bool integerTiles = takesIntegers && areIntegerTiles(operands);
  bool floats = (tiles && !integerTiles) || std::ranges::any_of(operands, [](const Type &type) {
                  return type.isScalar(Element::Kind::F32);
                });
  std::vector<Type> types;
  for (size_t at = 0; at < operands.size(); ++at)
    types.push_back(floats || !takesIntegers
                        ? checkValue(*call.arguments[at], Type::scalar(f32Element))
                        : operands[at]);
  Element::Kind wanted = floats || !takesIntegers ? Element::Kind::F32 : Element::Kind::I32;
  std::vector<Extent> shape;
  for (size_t at = 0; at < types.size(); ++at) {
    if (!types[at].isScalar(wanted) && !types[at].isTile(wanted))
      return argumentError(call, at,
                           tiles && !floats ? "an i32 or a tile of i32"
                           : tiles          ? "an f32 or a tile of f32"
                           : !takesIntegers ? "f32"
                           : floats         ? "f32 like the other"
                                            : "i32 or f32");
    if (!broadcast(expr.location, shape, types[at]))
      return {};
  }
  return tiles ? Type::tile(floats ? f32Element : i32Element, shape) : types[0];
}

/// random(seed, b, h, i, j)
Type Checker::random(Expr &expr, const CallExpr &call, const std::vector<Type> &types) {
  bool tiles = std::ranges::any_of(types, isTile);
  std::vector<Extent> shape;
  for (size_t at = 0; at < types.size(); ++at) {
    if (!types[at].isScalar(Element::Kind::I32) && !types[at].isTile(Element::Kind::I32))
      return argumentError(call, at, kernel ? "an i32 or a tile of i32" : "i32");
    if (!broadcast(expr.location, shape, types[at]))
      return {};
  }
  return tiles ? Type::tile(f32Element, shape) : Type::scalar(f32Element);
}

/// where(c, a, b)
Type Checker::choice(Expr &expr, CallExpr &call, const std::vector<Type> &operands) {
  bool tiles = std::ranges::any_of(operands, isTile);
  auto isInteger = [](const Type &type) {
    return type.isScalar(Element::Kind::I32) || type.isTile(Element::Kind::I32);
  };
  // With a tile of bool alone an integer literal may stand for either: it is an f32.
  bool integers = areIntegerTiles({operands.begin() + 1, operands.end()}) ||
                  (tiles && isInteger(operands[1]) && isInteger(operands[2]) &&
                   !(isIntLiteral(*call.arguments[1]) && isIntLiteral(*call.arguments[2])));
  bool floats = (tiles && !integers) || operands[1].isScalar(Element::Kind::F32) ||
                operands[2].isScalar(Element::Kind::F32);
  std::vector<Type> types = operands;
  for (size_t at : {1, 2})
    if (floats)
      types[at] = checkValue(*call.arguments[at], Type::scalar(f32Element));
  if (!types[0].isScalar(Element::Kind::Bool) && !types[0].isTile(Element::Kind::Bool))
    return argumentError(call, 0, tiles ? "a bool or a tile of bool" : "bool");
  std::vector<Extent> shape;
  if (!broadcast(expr.location, shape, types[0]))
    return {};
  for (size_t at : {1, 2}) {
    Element::Kind wanted = floats ? Element::Kind::F32 : Element::Kind::I32;
    if (tiles && !types[at].isScalar(wanted) && !types[at].isTile(wanted))
      return argumentError(call, at,
                           floats ? "an f32 or a tile of f32" : "an i32 or a tile of i32");
    if (!broadcast(expr.location, shape, types[at]))
      return {};
  }
  if (tiles)
    return Type::tile(floats ? f32Element : i32Element, shape);
  if (types[1] != types[2])
    return argumentError(call, 2, print(types[1]) + " like the other");
  return types[1];
}

/// shortcut(c, a, b): a condition for each row.
Type Checker::shortcut(Expr &expr, CallExpr &call, const std::vector<Type> &operands) {
  if (!operands[0].isTile(Element::Kind::Bool) || !operands[0].shape[1].isOne())
    return argumentError(call, 0, "a column of bool");
  for (size_t at : {1, 2})
    if (operands[at].isTile(Element::Kind::I32))
      return argumentError(call, at, "an f32 or a tile of f32");
  Type chosen = choice(expr, call, operands);
  if (!chosen.isInvalid() && chosen.shape[0] != operands[0].shape[0])
    return argumentError(call, 0, "a column of the rows of the others");
  return chosen;
}

Type Checker::conversion(CallExpr &call, const Type &operand, const Element &from,
                         const Element &to) {
  if (operand.isTile(from.kind))
    return Type::tile(to, operand.shape);
  if (operand != Type::scalar(from))
    return argumentError(call, 0, operand.isTile() ? "a tile of " + print(from) : print(from));
  return Type::scalar(to);
}

Type Checker::product(const CallExpr &call, const std::vector<Type> &types) {
  for (size_t at : {0, 1})
    if (!types[at].isTile())
      return argumentError(call, at, "a tile");
  if (types[0].element != types[1].element || !types[0].element.isFloat()) {
    sink.report(call.arguments[0]->location, Message::DotElements,
                {print(types[0].element), print(types[1].element)});
    return {};
  }
  if (types[0].shape[1] != types[1].shape[0]) {
    sink.report(call.arguments[0]->location, Message::DotShapes,
                {print(types[0].shape), print(types[1].shape)});
    return {};
  }
  return Type::tile(f32Element, {types[0].shape[0], types[1].shape[1]});
}

/// zeros<T>[R, C], full<T>[R, C](x), iota<i32>[R, 1]
Type Checker::constructed(CallExpr &call, const std::vector<Type> &types) {
  if (call.shape.size() != 2) {
    sink.report(call.elementLocation, Message::NeedsShape, {call.callee});
    return {};
  }
  if (!checkElement(*call.element, call.elementLocation))
    return {};
  bool counts = call.builtin == Builtin::Iota, integers = *call.element == i32Element;
  if (counts ? !integers : *call.element == boolElement) {
    sink.report(call.elementLocation, counts ? Message::IotaElement : Message::NumberElement,
                {call.callee, print(*call.element)});
    return {};
  }
  for (size_t at = 0; at < call.shape.size(); ++at)
    if (!checkStatic(call.shape[at], call.shapeLocations[at]))
      return {};
  if (counts && !call.shape[0].isOne() && !call.shape[1].isOne()) {
    sink.report(call.shapeLocations[0], Message::IotaShape, {print(call.shape)});
    return {};
  }
  Type value = Type::scalar(integers ? i32Element : f32Element);
  if (!types.empty() && checkValue(*call.arguments[0], value) != value)
    return argumentError(call, 0, print(value));
  return Type::tile(*call.element, call.shape);
}

/// A function anywhere, a mask or a score inside another: scalars by value, views by name. In a
/// kernel a function of scalars works on tiles of f32 and i32 too, element by element.
Type Checker::functionCall(Expr &expr, CallExpr &call) {
  assert(call.function && "constants are called in kernels, as masks and scores");
  const FunctionDecl &callee = *call.function;
  if (!checkCount(call, expr.location, callee.parameters.size()))
    return {};
  bool good = true, tiles = false;
  std::vector<Extent> shape;
  bool readsViews = std::ranges::any_of(callee.parameters, [](const Parameter &parameter) {
    return parameter.type.kind == Type::Kind::View;
  });
  for (size_t at = 0; at < call.arguments.size(); ++at) {
    const Parameter &wanted = callee.parameters[at];
    if (wanted.type.kind == Type::Kind::View) {
      good &= checkViewArgument(call, at, wanted);
      continue;
    }
    Type type = checkValue(*call.arguments[at], wanted.type);
    if (type.isInvalid()) {
      good = false;
    } else if ((type.isTile(Element::Kind::F32) || type.isTile(Element::Kind::I32)) &&
               wanted.type.isScalar(type.element.kind)) {
      tiles = true;
      good &= broadcast(expr.location, shape, type);
    } else if (type != wanted.type) {
      argumentError(call, at, print(wanted.type));
      good = false;
    }
    auto *name = std::get_if<NameExpr>(&call.arguments[at]->node);
    bool position =
        wanted.name == "b" || wanted.name == "h" || wanted.name == "i" || wanted.name == "j";
    if (readsViews && position && at < callee.positionParameters() &&
        !(name && name->name == wanted.name)) {
      sink.report(call.arguments[at]->location, Message::MaskArguments,
                  {std::to_string(at + 1), callee.name, wanted.name});
      good = false;
    }
  }
  if (tiles && callee.result == Type::scalar(boolElement)) {
    for (size_t at = 0; good && at < call.arguments.size(); ++at)
      if (call.arguments[at]->type.isTile())
        return argumentError(call, at, print(callee.parameters[at].type));
    return {};
  }
  if (!good)
    return {};
  return tiles ? Type::tile(callee.result.element, shape) : callee.result;
}

bool Checker::checkViewArgument(CallExpr &call, size_t argument, const Parameter &wanted) {
  Expr &expr = *call.arguments[argument];
  auto *name = std::get_if<NameExpr>(&expr.node);
  const Parameter *given = name ? findParameter(name->name) : nullptr;
  if (given && given->type == wanted.type) {
    name->kind = NameExpr::Kind::Parameter;
    expr.type = given->type;
    return true;
  }
  sink.report(expr.location, Message::ViewArgument,
              {std::to_string(argument + 1), call.callee, print(wanted.type)});
  return false;
}

/// A mask or a score over a tile: mask(qpos[...], kpos[...]), score(s, qpos[...], kpos[...]),
/// derivative(score)(...).
Type Checker::scoredCall(Expr &expr, CallExpr &call, bool isMask) {
  size_t leading = isMask ? 0 : 1;
  if (!checkCount(call, expr.location, leading + 2))
    return {};
  Type operand = isMask ? Type{} : checkExpr(*call.arguments[0]);
  Extent queries, keys;
  bool good = checkPositionArgument(call, leading, "Nq", queries);
  good &= checkPositionArgument(call, leading + 1, "Nk", keys);
  if (!good)
    return {};
  if (isMask)
    return Type::tile(boolElement, {queries, keys});
  if (operand.isInvalid())
    return {};
  Type wanted = Type::tile(f32Element, {queries, keys});
  return operand == wanted ? wanted : argumentError(call, 0, print(wanted));
}

bool Checker::checkPositionArgument(CallExpr &call, size_t argument, const char *extent,
                                    Extent &size) {
  Expr &expr = *call.arguments[argument];
  auto *shift = std::get_if<BinaryExpr>(&expr.node);
  if (!PositionArgument::of(expr).window)
    shift = nullptr;
  auto *subscript = std::get_if<SubscriptExpr>(&(shift ? *shift->lhs : expr).node);
  const Parameter *positions = subscript ? findParameter(subscript->view) : nullptr;
  if (subscript && !positions && !find(subscript->view)) {
    reportUnknownName(subscript->view, expr.location);
    return false;
  }
  if (!positions || positions->type.kind != Type::Kind::Positions ||
      positions->type.shape.front().name != extent || subscript->axes.size() != 1 ||
      subscript->fill || subscript->axes[0].kind != AxisRange::Kind::Window) {
    sink.report(expr.location, Message::PositionArgument,
                {std::to_string(argument + 1), call.callee, extent});
    return false;
  }
  if (!checkPositionWindow(subscript->axes[0], *positions, size))
    return false;
  expr.type = {Type::Kind::PositionWindow, {}, {size}};
  if (!shift)
    return true;
  shift->lhs->type = expr.type;
  Type by = checkExpr(*shift->rhs);
  if (!by.isInvalid() && !by.isScalar(Element::Kind::I32))
    sink.report(shift->rhs->location, Message::PositionShiftType, {print(by)});
  return by.isScalar(Element::Kind::I32);
}

bool Checker::checkPositionWindow(AxisRange &axis, const Parameter &positions, Extent &size) {
  if (!checkWindowAxis(axis, positions.type.shape[0], /*isFirst=*/true, size))
    return false;
  auto *name = std::get_if<NameExpr>(&axis.offset->node);
  const Symbol *symbol = name ? find(name->name) : nullptr;
  if (symbol && (symbol->kind == Symbol::Kind::Loop || symbol->kind == Symbol::Kind::Grid))
    return true;
  sink.report(axis.location, Message::PositionWindowOffset);
  return false;
}

} // namespace ringc::frontend
