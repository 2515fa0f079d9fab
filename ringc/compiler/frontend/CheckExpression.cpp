#include "ringc/compiler/frontend/Checker.h"

#include <algorithm>

namespace ringc::frontend {

bool isIntLiteral(const Expr &expr) {
  if (auto *unary = std::get_if<UnaryExpr>(&expr.node))
    return unary->op == UnaryOp::Negate && isIntLiteral(*unary->operand);
  return std::holds_alternative<IntLiteral>(expr.node);
}

namespace {

void makeFloat(Expr &expr) {
  expr.type = Type::scalar(f32Element);
  if (auto *unary = std::get_if<UnaryExpr>(&expr.node))
    makeFloat(*unary->operand);
}

bool wantsFloat(const Type &type) {
  return type.isScalar(Element::Kind::F32) || (type.isTile() && type.element.isFloat());
}

std::string axes(size_t count) { return count == 1 ? "1 axis" : std::to_string(count) + " axes"; }

bool isLogical(BinaryOp op) { return op == BinaryOp::And || op == BinaryOp::Or; }
bool isComparison(BinaryOp op) { return op >= BinaryOp::Equal && op <= BinaryOp::GreaterEqual; }
bool isEquality(BinaryOp op) { return op == BinaryOp::Equal || op == BinaryOp::NotEqual; }

} // namespace

Type Checker::checkExpr(Expr &expr) {
  expr.type = std::visit([&](auto &node) { return type(expr, node); }, expr.node);
  return expr.type;
}

Type Checker::checkValue(Expr &expr, const Type &wanted) {
  checkExpr(expr);
  if (wantsFloat(wanted) && isIntLiteral(expr))
    makeFloat(expr);
  return expr.type;
}

Type Checker::type(Expr &, IntLiteral &) { return Type::scalar(i32Element); }
Type Checker::type(Expr &, FloatLiteral &) { return Type::scalar(f32Element); }
Type Checker::type(Expr &, BoolLiteral &) { return Type::scalar(boolElement); }

Type Checker::type(Expr &expr, NameExpr &name) {
  if (isLanguageConstant(name.name)) {
    name.kind = name.name == "LN2" ? NameExpr::Kind::Ln2 : NameExpr::Kind::Log2e;
    return Type::scalar(f32Element);
  }
  const Symbol *symbol = find(name.name);
  if (!symbol) {
    if (kernel && (name.name == "Nq" || name.name == "Nk"))
      for (const Parameter &parameter : kernel->parameters)
        if (std::ranges::find(parameter.type.shape, name.name, &Extent::name) !=
            parameter.type.shape.end()) {
          name.kind = NameExpr::Kind::Extent;
          return Type::scalar(i32Element);
        }
    reportUnknownName(name.name, expr.location);
    return {};
  }
  switch (symbol->kind) {
  case Symbol::Kind::Constant:
    name.kind = NameExpr::Kind::Constant;
    if (symbol->constant->kind == ConstantDecl::Kind::Integer)
      return Type::scalar(i32Element);
    sink.report(expr.location, Message::NotAValue,
                {name.name, symbol->constant->kind == ConstantDecl::Kind::Type        ? "a type"
                            : symbol->constant->kind == ConstantDecl::Kind::Predicate ? "a mask"
                                                                                      : "a score"});
    return {};
  case Symbol::Kind::Extent:
    name.kind = NameExpr::Kind::Extent;
    return symbol->type;
  case Symbol::Kind::Parameter:
    name.kind = NameExpr::Kind::Parameter;
    if (symbol->type.isScalar())
      return symbol->type;
    if (kernel && symbol->type.kind == Type::Kind::View &&
        std::ranges::all_of(symbol->type.shape,
                            [&](const Extent &extent) { return kernel->isOwnAxis(extent); }))
      return elementOfKernel(expr.location, *kernel->findParameter(name.name));
    sink.report(expr.location, Message::NotAValue,
                {name.name, symbol->type.kind == Type::Kind::View        ? "a view"
                            : symbol->type.kind == Type::Kind::Positions ? "positions"
                                                                         : "a carry"});
    return {};
  case Symbol::Kind::Let:
  case Symbol::Kind::Var:
  case Symbol::Kind::Loop:
  case Symbol::Kind::Grid:
  case Symbol::Kind::Seen:
    name.kind = NameExpr::Kind::Local;
    return symbol->type;
  }
  return {};
}

Type Checker::type(Expr &expr, UnaryExpr &unary) {
  Type operand = checkExpr(*unary.operand);
  if (operand.isInvalid())
    return {};
  switch (unary.op) {
  case UnaryOp::Negate:
    if (operand.isScalar(Element::Kind::I32) || operand.isScalar(Element::Kind::F32) ||
        operand.isTile(Element::Kind::F32) || operand.isTile(Element::Kind::I32))
      return operand;
    if (operand.isTile() && operand.element.isFloat()) {
      sink.report(expr.location, Message::ArithmeticOnNarrowTile, {"-", print(operand)});
      return {};
    }
    break;
  case UnaryOp::Not:
    if (operand.isScalar(Element::Kind::Bool) || operand.isTile(Element::Kind::Bool))
      return operand;
    break;
  case UnaryOp::Transpose:
    if (operand.isTile())
      return Type::tile(operand.element, {operand.shape[1], operand.shape[0]});
    break;
  }
  const char *sign = unary.op == UnaryOp::Negate ? "-" : unary.op == UnaryOp::Not ? "not" : "^T";
  sink.report(expr.location, Message::OperandType, {sign, print(operand)});
  return {};
}

Type Checker::type(Expr &expr, BinaryExpr &binary) {
  checkExpr(*binary.lhs);
  checkExpr(*binary.rhs);
  if (wantsFloat(binary.lhs->type) && isIntLiteral(*binary.rhs))
    makeFloat(*binary.rhs);
  else if (wantsFloat(binary.rhs->type) && isIntLiteral(*binary.lhs))
    makeFloat(*binary.lhs);
  return arithmetic(expr.location, binary.op, binary.lhs->type, binary.rhs->type);
}

Type Checker::arithmetic(Location location, BinaryOp op, const Type &lhs, const Type &rhs) {
  if (lhs.isInvalid() || rhs.isInvalid())
    return {};
  return lhs.isTile() || rhs.isTile() ? tileArithmetic(location, op, lhs, rhs)
                                      : scalarArithmetic(location, op, lhs, rhs);
}

Type Checker::scalarArithmetic(Location location, BinaryOp op, const Type &lhs, const Type &rhs) {
  using enum Element::Kind;
  bool integers = lhs.isScalar(I32) && rhs.isScalar(I32);
  bool floats = lhs.isScalar(F32) && rhs.isScalar(F32);
  bool bools = lhs.isScalar(Bool) && rhs.isScalar(Bool);
  bool takesNumbers = !isLogical(op);
  if (bools && (isLogical(op) || isEquality(op)))
    return lhs;
  if (takesNumbers && isComparison(op) && (integers || floats))
    return Type::scalar(boolElement);
  if (takesNumbers && !isComparison(op) && (integers || (floats && op != BinaryOp::Remainder)))
    return lhs;
  bool mixed = (lhs.isScalar(I32) && rhs.isScalar(F32)) || (lhs.isScalar(F32) && rhs.isScalar(I32));
  if (takesNumbers && mixed)
    sink.report(location, Message::IntegerAndFloat, {spelling(op)});
  else
    sink.report(location, Message::OperandTypes, {spelling(op), print(lhs), print(rhs)});
  return {};
}

Type Checker::tileArithmetic(Location location, BinaryOp op, const Type &lhs, const Type &rhs) {
  auto isInteger = [](const Type &side) {
    return side.isTile(Element::Kind::I32) || side.isScalar(Element::Kind::I32);
  };
  bool integers = isInteger(lhs) && isInteger(rhs);
  Element::Kind wanted = isLogical(op) ? Element::Kind::Bool
                         : integers    ? Element::Kind::I32
                                       : Element::Kind::F32;
  for (const Type *side : {&lhs, &rhs}) {
    bool narrow = side->isTile() && side->element.isFloat() && side->element != f32Element;
    if (!isLogical(op) && op != BinaryOp::Remainder && narrow) {
      sink.report(location, Message::ArithmeticOnNarrowTile, {spelling(op), print(*side)});
      return {};
    }
    bool other = wanted == Element::Kind::F32 && op != BinaryOp::Remainder && isInteger(*side);
    const Type &beside = side == &lhs ? rhs : lhs;
    if (other && (beside.isScalar(Element::Kind::F32) || beside.isTile(Element::Kind::F32))) {
      sink.report(location, Message::IntegerAndFloat, {spelling(op)});
      return {};
    }
    if ((op == BinaryOp::Remainder && !integers) ||
        (!side->isScalar(wanted) && !side->isTile(wanted))) {
      sink.report(location, Message::OperandTypes, {spelling(op), print(lhs), print(rhs)});
      return {};
    }
  }
  std::vector<Extent> shape;
  if (!broadcast(location, shape, lhs) || !broadcast(location, shape, rhs))
    return {};
  return Type::tile(isComparison(op) ? boolElement : lhs.element, shape);
}

/// Widens `shape` by a tile; scalars and axes of length 1 take any length.
bool Checker::broadcast(Location location, std::vector<Extent> &shape, const Type &with) {
  if (!with.isTile())
    return true;
  if (shape.empty()) {
    shape = with.shape;
    return true;
  }
  std::vector<Extent> before = shape;
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    if (shape[axis].isOne()) {
      shape[axis] = with.shape[axis];
    } else if (shape[axis] != with.shape[axis] && !with.shape[axis].isOne()) {
      sink.report(location, Message::ShapesDiffer, {print(before), print(with.shape)});
      return false;
    }
  }
  return true;
}

Type Checker::type(Expr &expr, ConditionalExpr &conditional) {
  Type condition = checkExpr(*conditional.condition);
  checkExpr(*conditional.whenTrue);
  checkExpr(*conditional.whenFalse);
  Expr &whenTrue = *conditional.whenTrue, &whenFalse = *conditional.whenFalse;
  if (wantsFloat(whenTrue.type) && isIntLiteral(whenFalse))
    makeFloat(whenFalse);
  else if (wantsFloat(whenFalse.type) && isIntLiteral(whenTrue))
    makeFloat(whenTrue);
  if (condition.isInvalid() || whenTrue.type.isInvalid() || whenFalse.type.isInvalid())
    return {};
  if (condition.isTile() || whenTrue.type.isTile() || whenFalse.type.isTile()) {
    sink.report(expr.location, Message::ConditionalOnTile);
    return {};
  }
  if (!condition.isScalar(Element::Kind::Bool)) {
    sink.report(conditional.condition->location, Message::ConditionNotBool, {print(condition)});
    return {};
  }
  if (whenTrue.type != whenFalse.type) {
    sink.report(expr.location, Message::BranchesDiffer,
                {print(whenTrue.type), print(whenFalse.type)});
    return {};
  }
  return whenTrue.type;
}

const Parameter *Checker::findParameter(const std::string &name) const {
  if (kernel)
    return kernel->findParameter(name);
  for (const Parameter &parameter : function->parameters)
    if (parameter.name == name)
      return &parameter;
  return nullptr;
}

Type Checker::type(Expr &expr, SubscriptExpr &subscript) {
  const Parameter *view = findParameter(subscript.view);
  if (view && view->type.kind == Type::Kind::View)
    return kernel ? window(subscript, expr, *view, /*stores=*/false)
                  : element(subscript, expr, *view);
  if (view && view->type.kind == Type::Kind::Positions)
    return positions(subscript, expr, *view);
  if (view || find(subscript.view))
    sink.report(expr.location, Message::NotAView, {subscript.view});
  else
    reportUnknownName(subscript.view, expr.location);
  return {};
}

/// A window of positions as a value: a column of i32.
Type Checker::positions(SubscriptExpr &subscript, Expr &expr, const Parameter &of) {
  if (subscript.axes.size() != 1) {
    sink.report(expr.location, Message::AxisCount,
                {of.name, axes(1), std::to_string(subscript.axes.size())});
    return {};
  }
  AxisRange &axis = subscript.axes[0];
  if (axis.kind != AxisRange::Kind::Window || subscript.fill) {
    sink.report(expr.location, Message::ReadOfPositions, {of.name});
    return {};
  }
  Extent size;
  if (!checkPositionWindow(axis, of, size))
    return {};
  return Type::tile(i32Element, {size, {1, {}}});
}

/// One element of a view that a mask or a score reads.
Type Checker::element(const SubscriptExpr &subscript, Expr &expr, const Parameter &view) {
  bool good = true;
  if (subscript.axes.size() != view.type.shape.size()) {
    sink.report(expr.location, Message::AxisCount,
                {view.name, axes(view.type.shape.size()), std::to_string(subscript.axes.size())});
    return {};
  }
  if (subscript.fill)
    good = false,
    sink.report(subscript.fill->location, Message::WindowInFunction, {keyword(function->kind)});
  for (size_t at = 0; at < subscript.axes.size(); ++at) {
    const AxisRange &axis = subscript.axes[at];
    if (axis.kind != AxisRange::Kind::Index) {
      sink.report(axis.location, Message::WindowInFunction, {keyword(function->kind)});
      good = false;
      continue;
    }
    Type index = checkExpr(*axis.offset);
    if (!index.isInvalid() && !index.isScalar(Element::Kind::I32)) {
      sink.report(axis.offset->location, Message::IndexType, {print(index)});
      good = false;
    }
    const std::string &extent = view.type.shape[at].name;
    auto *name = std::get_if<NameExpr>(&axis.offset->node);
    if (extent == "Nq" && !(name && name->name == "i"))
      good = false, sink.report(axis.offset->location, Message::IndexOfQueries);
    if (extent == "Nk" && !(name && name->name == "j"))
      good = false, sink.report(axis.offset->location, Message::IndexOfKeys);
  }
  return good ? Type::scalar(view.type.element) : Type{};
}

/// An element of a kernel's view, which the kernel does not write: a scalar.
Type Checker::elementOfKernel(Location location, const Parameter &view) {
  elementReads.try_emplace(view.name, location);
  const Element &element = view.type.element;
  if (element == i32Element || element == f32Element || element == boolElement)
    return Type::scalar(element);
  sink.report(location, Message::ElementInKernel, {view.name, print(element)});
  return {};
}

/// A window of a kernel's view: a tile; with one axis that is not indexed a column, with none an
/// element.
Type Checker::window(SubscriptExpr &subscript, Expr &expr, const Parameter &view, bool stores) {
  std::vector<Extent> extents = view.type.shape;
  std::erase_if(extents, [&](const Extent &extent) { return kernel->isOwnAxis(extent); });
  if (subscript.axes.size() != extents.size()) {
    sink.report(expr.location, Message::AxisCount,
                {view.name, axes(extents.size()), std::to_string(subscript.axes.size())});
    return {};
  }
  bool good = true;
  std::vector<Extent> shape;
  for (size_t at = 0; at < subscript.axes.size(); ++at) {
    AxisRange &axis = subscript.axes[at];
    if (axis.kind == AxisRange::Kind::Index) {
      Type index = checkExpr(*axis.offset);
      good &= !index.isInvalid();
      if (view.type.sums)
        good = false, sink.report(axis.location, Message::IndexOfSums);
      if (index.isScalar(Element::Kind::I32) || !good)
        continue;
      if (!index.isTile()) {
        good = false, sink.report(axis.offset->location, Message::IndexType, {print(index)});
      } else if (!index.isTile(Element::Kind::I32) || !index.shape[1].isOne() || !shape.empty()) {
        good = false, sink.report(axis.offset->location, Message::RowsOfTile, {print(index)});
      } else {
        shape.push_back(index.shape[0]);
      }
      continue;
    }
    bool isFirst = shape.empty();
    good &= checkWindowAxis(axis, extents[at], isFirst, shape.emplace_back());
  }
  good &= checkWindowFill(subscript, view, stores);
  if (!good)
    return {};
  if (shape.empty() && stores) {
    sink.report(expr.location, Message::IndexInKernel);
    return {};
  }
  if (shape.empty())
    return elementOfKernel(expr.location, view);
  if (shape.size() > 2) {
    sink.report(expr.location, Message::WindowAxes, {std::to_string(shape.size())});
    return {};
  }
  if (shape.size() == 1)
    shape.push_back({1, {}});
  return Type::tile(view.type.element, shape);
}

bool Checker::checkWindowFill(SubscriptExpr &subscript, const Parameter &view, bool stores) {
  if (!subscript.fill)
    return true;
  bool ofFloats = view.type.element.isFloat();
  Type fill = checkValue(*subscript.fill, Type::scalar(ofFloats ? f32Element : view.type.element));
  if (stores) {
    sink.report(subscript.fill->location, Message::FillOnStore);
    return false;
  }
  if (fill.isInvalid() || (fill.isScalar(Element::Kind::F32) && ofFloats) ||
      (fill.isScalar() && fill.element == view.type.element))
    return true;
  sink.report(subscript.fill->location, Message::FillType, {print(view.type.element), print(fill)});
  return false;
}

bool Checker::checkWindowAxis(AxisRange &axis, const Extent &extent, bool isFirst, Extent &size) {
  if (!isFirst && (extent.name == "Nq" || extent.name == "Nk")) {
    sink.report(axis.location, Message::AxisOfPositions, {extent.name});
    return false;
  }
  if (axis.kind == AxisRange::Kind::Whole) {
    size = extent;
    if (isStatic(extent))
      return true;
    sink.report(axis.location, Message::WholeAxisDynamic, {extent.name});
    return false;
  }
  size = axis.size;
  Type offset = checkExpr(*axis.offset);
  if (!offset.isInvalid() && !offset.isScalar(Element::Kind::I32)) {
    sink.report(axis.offset->location, Message::IndexType, {print(offset)});
    return false;
  }
  return checkStatic(axis.size, axis.sizeLocation) && !offset.isInvalid() &&
         checkWindowVariable(axis, extent);
}

/// Where a window begins at the variable of a loop, they must agree: tiles that overlap or leave
/// gaps are a mistake.
bool Checker::checkWindowVariable(const AxisRange &axis, const Extent &extent) {
  auto *name = std::get_if<NameExpr>(&axis.offset->node);
  const Symbol *symbol = name ? find(name->name) : nullptr;
  if (!symbol || (symbol->kind != Symbol::Kind::Loop && symbol->kind != Symbol::Kind::Grid))
    return true;
  if (symbol->step != axis.size) {
    sink.report(axis.sizeLocation, Message::WindowStep,
                {name->name, print(symbol->step), print(axis.size)});
    return false;
  }
  auto ofPositions = [](const std::string &extentName) {
    return extentName == "Nq" || extentName == "Nk";
  };
  std::string wanted = print(extent);
  if (!symbol->extent.empty() && symbol->extent != wanted &&
      (ofPositions(symbol->extent) || ofPositions(wanted))) {
    sink.report(axis.location, Message::WindowExtent, {name->name, symbol->extent, wanted});
    return false;
  }
  return true;
}

bool Checker::checkStatic(const Extent &extent, Location location) {
  if (extent.isNumber())
    return true;
  const Symbol *symbol = find(extent.name);
  if (symbol && symbol->constant && symbol->constant->kind == ConstantDecl::Kind::Integer)
    return true;
  if (symbol || isKnownExtent(extent.name))
    sink.report(location, Message::WindowSizeNotStatic, {extent.name});
  else
    reportUnknownName(extent.name, location);
  return false;
}

bool Checker::checkElement(const Element &element, Location location) {
  if (element.kind != Element::Kind::Constant)
    return true;
  const Symbol *symbol = kernel ? find(element.name) : nullptr;
  if (symbol && symbol->constant && symbol->constant->kind == ConstantDecl::Kind::Type)
    return true;
  std::vector<std::string> names = {"f32", "f16", "bf16", "i32", "bool"};
  if (kernel)
    for (const ConstantDecl &constant : kernel->constants)
      if (constant.kind == ConstantDecl::Kind::Type)
        names.push_back(constant.name);
  sink.report(location, kernel ? Message::UnknownElementInKernel : Message::UnknownElement,
              {element.name, didYouMean(element.name, names)});
  return false;
}

} // namespace ringc::frontend
