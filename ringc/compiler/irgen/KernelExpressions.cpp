#include "ringc/compiler/irgen/KernelEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"
#include "ringc/compiler/dialect/Tile.h"

#include <numbers>

using namespace mlir;

namespace ringc {

using namespace frontend; // of the tree's nodes; MLIR's types of the same name are written out

Value KernelEmitter::emit(const Expr &expr) {
  mlir::Location place = loc(expr.location);
  if (auto *literal = std::get_if<IntLiteral>(&expr.node))
    return expr.type.isScalar(Element::Kind::F32)
               ? values.real(place, static_cast<double>(literal->value))
               : values.integer(place, literal->value);
  if (auto *literal = std::get_if<FloatLiteral>(&expr.node))
    return values.real(place, literal->value);
  if (auto *literal = std::get_if<BoolLiteral>(&expr.node))
    return values.boolean(place, literal->value);
  if (auto *name = std::get_if<NameExpr>(&expr.node))
    return emitName(place, *name);
  if (auto *unary = std::get_if<UnaryExpr>(&expr.node)) {
    Value operand = emit(*unary->operand);
    switch (unary->op) {
    case UnaryOp::Negate:
      return values.negate(place, operand);
    case UnaryOp::Not:
      return values.logicalNot(place, operand);
    case UnaryOp::Transpose:
      return values.transpose(place, operand);
    }
  }
  if (auto *binary = std::get_if<BinaryExpr>(&expr.node)) {
    Value lhs = emit(*binary->lhs);
    Value rhs = emit(*binary->rhs);
    return values.binary(place, binary->op, lhs, rhs);
  }
  if (auto *conditional = std::get_if<ConditionalExpr>(&expr.node)) {
    Value condition = emit(*conditional->condition);
    Value whenTrue = emit(*conditional->whenTrue);
    Value whenFalse = emit(*conditional->whenFalse);
    return values.select(place, condition, whenTrue, whenFalse);
  }
  if (auto *call = std::get_if<CallExpr>(&expr.node))
    return emitCall(place, expr, *call);
  return emitLoad(place, expr, std::get<SubscriptExpr>(expr.node));
}

Value KernelEmitter::emitName(mlir::Location place, const NameExpr &name) {
  switch (name.kind) {
  case NameExpr::Kind::Local:
    return names.lookup(name.name);
  case NameExpr::Kind::Parameter: {
    Value value = names.lookup(name.name);
    return isa<tile::ViewType>(value.getType()) ? emitElement(place, name.name, nullptr) : value;
  }
  case NameExpr::Kind::Constant:
    return values.integer(place, bindings.integers.at(name.name));
  case NameExpr::Kind::Extent:
    return tile::ExtentOp::create(builder, place, builder.getI32Type(),
                                  builder.getStringAttr(name.name));
  case NameExpr::Kind::Log2e:
    return values.real(place, std::numbers::log2e);
  case NameExpr::Kind::Ln2:
    return values.real(place, std::numbers::ln2);
  case NameExpr::Kind::Unresolved:
    break;
  }
  llvm_unreachable("the checker resolves every name");
}

Value KernelEmitter::emitCall(mlir::Location place, const Expr &expr, const CallExpr &call) {
  if (call.target == CallExpr::Target::Builtin)
    return emitBuiltin(place, expr, call);
  if (call.target == CallExpr::Target::Function &&
      call.function->kind == FunctionDecl::Kind::Function) {
    SmallVector<Value> arguments;
    for (const ExprPtr &argument : call.arguments)
      arguments.push_back(emit(*argument));
    Value result = functions.call(*call.function, arguments, {});
    // A function that ignores its tile gives a scalar; one that hands an argument through, a
    // smaller tile.
    mlir::Type type = typeOf(expr.type);
    if (result.getType() == type)
      return result;
    if (!isa<RankedTensorType>(result.getType()))
      return values.splat(place, result, shapeOf(expr.type.shape));
    return tile::BroadcastOp::create(builder, place, type, result);
  }
  return emitApply(place, call);
}

Value KernelEmitter::emitBuiltin(mlir::Location place, const Expr &expr, const CallExpr &call) {
  SmallVector<Value> arguments;
  for (const ExprPtr &argument : call.arguments)
    arguments.push_back(emit(*argument));
  switch (call.builtin) {
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
  case Builtin::Random:
    return values.elementwise(place, call.builtin, arguments);
  case Builtin::Where:
    return values.select(place, arguments[0], arguments[1], arguments[2]);
  case Builtin::Shortcut:
    return values.shortcut(place, arguments[0], arguments[1], arguments[2]);
  case Builtin::ToF32:
    return values.toFloat(place, arguments[0]);
  case Builtin::ToI32:
    return values.toInteger(place, arguments[0]);
  case Builtin::RowMax:
  case Builtin::RowSum:
  case Builtin::ColMax:
  case Builtin::ColSum:
    return values.reduce(place, call.builtin, arguments[0]);
  case Builtin::Dot:
    return values.dot(place, arguments[0], arguments[1]);
  case Builtin::Cast:
    return values.cast(place, arguments[0], elementOf(*call.element));
  case Builtin::Zeros: {
    mlir::Type element = elementOf(*call.element);
    Value zero = element.isInteger(32) ? values.integer(place, 0) : values.real(place, element, 0);
    return values.splat(place, zero, shapeOf(expr.type.shape));
  }
  case Builtin::Full:
    return values.splat(place, values.cast(place, arguments[0], elementOf(*call.element)),
                        shapeOf(expr.type.shape));
  case Builtin::Iota:
    return values.iota(place, shapeOf(expr.type.shape));
  }
  llvm_unreachable("all builtins are above");
}

KernelEmitter::Place KernelEmitter::placeOf(const Expr &argument) {
  auto [window, shift] = PositionArgument::of(argument);
  const AxisRange &axis = window->axes.front();
  Value positions = names.lookup(window->view);
  if (shift) {
    mlir::Location place = loc(argument.location);
    Value by = emit(*shift->rhs);
    if (shift->op == BinaryOp::Subtract)
      by = values.negate(place, by);
    positions = tile::ShiftOp::create(builder, place, positions.getType(), positions, by);
  }
  return {positions, emit(*axis.offset), sizeOf(axis.size)};
}

/// A mask or the scores of a constant over a tile, or the product of their derivatives.
Value KernelEmitter::emitApply(mlir::Location place, const CallExpr &call) {
  MutableArrayRef<Applied> list = applied[call.callee];
  bool isMask = call.arguments.size() == 2;
  Value operand = isMask ? Value() : emit(*call.arguments.front());
  Place queries = placeOf(*call.arguments[isMask ? 0 : 1]);
  Place keys = placeOf(*call.arguments[isMask ? 1 : 2]);
  SmallVector<int64_t> shape = {queries.size, keys.size};
  auto apply = [&](Applied &part, bool derivative) -> Value {
    mlir::Type element = isMask ? mlir::Type(builder.getI1Type()) : builder.getF32Type();
    return tile::ApplyOp::create(builder, place, RankedTensorType::get(shape, element),
                                 part.function.getSymName(), operand, queries.positions,
                                 queries.row, keys.positions, keys.row, lookup(part.parameters),
                                 derivative);
  };
  if (isMask)
    return apply(list.front(), false);
  Value slope;
  for (Applied &part : list) {
    if (call.isDerivative) {
      Value factor = apply(part, true);
      slope = slope ? values.binary(place, BinaryOp::Multiply, slope, factor) : factor;
    }
    if (!call.isDerivative || &part != &list.back())
      operand = apply(part, false);
  }
  if (!call.isDerivative)
    return operand;
  return slope ? slope : values.splat(place, values.real(place, 1.0), shape);
}

KernelEmitter::Window KernelEmitter::windowOf(mlir::Location place,
                                              const SubscriptExpr &subscript) {
  const Parameter &parameter = *kernel.findParameter(subscript.view);
  Window window{names.lookup(subscript.view), {}, {}, nullptr};
  SmallVector<Value> indices;
  SmallVector<int64_t> axes, own;
  SmallVector<Attribute> kept;
  auto type = cast<tile::ViewType>(window.view.getType());
  auto range = subscript.axes.begin();
  for (auto [at, extent] : llvm::enumerate(parameter.type.shape)) {
    int64_t axis = static_cast<int64_t>(at);
    if (kernel.isOwnAxis(extent)) {
      indices.push_back(tile::OwnIndexOp::create(builder, place, builder.getI32Type(),
                                                 builder.getStringAttr(extent.name)));
      axes.push_back(axis);
      own.push_back(axis);
      continue;
    }
    const AxisRange &each = *range++;
    Value offset = each.offset ? emit(*each.offset) : values.integer(place, 0);
    if (each.kind == AxisRange::Kind::Index && !tile::isTile(offset.getType())) {
      indices.push_back(offset);
      axes.push_back(axis);
      continue;
    }
    if (tile::isTile(offset.getType())) {
      window.rows = offset;
      offset = values.integer(place, 0);
    }
    if (window.offsets.empty())
      window.first = &each;
    window.offsets.push_back(offset);
    kept.push_back(type.getExtents()[at]);
  }
  if (!axes.empty()) {
    auto left = tile::ViewType::get(builder.getContext(), type.getElementType(),
                                    builder.getArrayAttr(kept), type.getOrder());
    window.view = tile::SliceOp::create(builder, place, left, window.view, indices, axes, own);
  }
  return window;
}

/// Whether a scalar is computed from elements of views.
static bool isOfElements(Value value) {
  Operation *maker = value.getDefiningOp();
  return maker && (isa<tile::ElementOp>(maker) || llvm::any_of(maker->getOperands(), isOfElements));
}

/// In a loop over keys rows that a view names, as many as the loop's step, are the keys at hand.
bool KernelEmitter::isOfKeys(const Window &window) const {
  if (!keyLoop)
    return false;
  if (window.rows)
    return window.first->offset->type.shape[0] == keyLoop->step;
  return window.first->kind == AxisRange::Kind::Window && window.first->size == keyLoop->step &&
         isOfElements(window.offsets.front());
}

Value KernelEmitter::emitLoad(mlir::Location place, const Expr &expr,
                              const SubscriptExpr &subscript) {
  if (isa<tile::PositionsType>(names.lookup(subscript.view).getType()))
    return tile::PositionOp::create(builder, place, typeOf(expr.type), names.lookup(subscript.view),
                                    emit(*subscript.axes.front().offset));
  if (expr.type.isScalar())
    return emitElement(place, subscript.view, &subscript);
  Window window = windowOf(place, subscript);
  mlir::Type element = cast<tile::ViewType>(window.view.getType()).getElementType();
  Value fill = emitFill(place, subscript, element);
  return tile::LoadOp::create(builder, place, typeOf(expr.type), window.view, window.offsets,
                              window.rows, fill, Value(), isOfKeys(window));
}

/// `subscript` may be null, of a view whose axes are all the program's own.
Value KernelEmitter::emitElement(mlir::Location place, const std::string &name,
                                 const SubscriptExpr *subscript) {
  Value view = names.lookup(name), fill;
  auto type = cast<tile::ViewType>(view.getType());
  SmallVector<Value> indices;
  SmallVector<int64_t> own;
  size_t next = 0;
  for (auto [axis, extent] : llvm::enumerate(kernel.findParameter(name)->type.shape))
    if (kernel.isOwnAxis(extent)) {
      indices.push_back(tile::OwnIndexOp::create(builder, place, builder.getI32Type(),
                                                 builder.getStringAttr(extent.name)));
      own.push_back(static_cast<int64_t>(axis));
    } else {
      indices.push_back(emit(*subscript->axes[next++].offset));
    }
  mlir::Type element = type.getElementType();
  if (subscript)
    fill = emitFill(place, *subscript, element);
  if (!fill)
    fill = arith::ConstantOp::create(builder, place, builder.getZeroAttr(element));
  return tile::ElementOp::create(builder, place, element, view, indices, fill, own);
}

Value KernelEmitter::emitFill(mlir::Location place, const SubscriptExpr &subscript,
                              mlir::Type element) {
  if (!subscript.fill)
    return {};
  Value fill = emit(*subscript.fill);
  FloatAttr constant;
  if (matchPattern(fill, m_Constant(&constant)))
    return values.real(place, element, constant.getValueAsDouble());
  return fill.getType() == element ? fill : values.cast(place, fill, element);
}

} // namespace ringc
