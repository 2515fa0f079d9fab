#include "ringc/compiler/irgen/FunctionEmitter.h"

#include "ringc/compiler/dialect/Tile.h"

#include "llvm/ADT/StringSwitch.h"

#include <numbers>

using namespace mlir;

namespace ringc {

using namespace frontend; // of the tree's nodes; MLIR's types of the same name are written out

mlir::Location locationOf(MLIRContext *context, const SourceFile &source,
                          frontend::Location location) {
  return FileLineColLoc::get(context, source.name, static_cast<unsigned>(location.line),
                             static_cast<unsigned>(location.column));
}

mlir::Type elementType(MLIRContext *context, Element::Kind kind) {
  switch (kind) {
  case Element::Kind::F32:
    return Float32Type::get(context);
  case Element::Kind::F16:
    return Float16Type::get(context);
  case Element::Kind::BF16:
    return BFloat16Type::get(context);
  case Element::Kind::I32:
    return IntegerType::get(context, 32);
  case Element::Kind::Bool:
    return IntegerType::get(context, 1);
  case Element::Kind::Constant:
    break;
  }
  llvm_unreachable("a kernel's constant has no type of its own");
}

Value FunctionEmitter::call(const FunctionDecl &function, ArrayRef<Value> arguments,
                            const OwnIndices &own) {
  Body body{function, {}, own};
  for (auto [parameter, argument] : llvm::zip_equal(function.parameters, arguments))
    body.names[parameter.name] = argument;
  for (const Statement &statement : function.body) {
    if (auto *let = std::get_if<LetStatement>(&statement.node))
      body.names[let->name] = emit(body, *let->value);
    else
      return emit(body, *std::get<ReturnStatement>(statement.node).value);
  }
  llvm_unreachable("a function ends with a return");
}

Value FunctionEmitter::emit(Body &body, const Expr &expr) {
  mlir::Location loc = locationOf(builder.getContext(), *body.function.source, expr.location);
  if (auto *literal = std::get_if<IntLiteral>(&expr.node))
    return expr.type.isScalar(Element::Kind::F32)
               ? values.real(loc, static_cast<double>(literal->value))
               : values.integer(loc, literal->value);
  if (auto *literal = std::get_if<FloatLiteral>(&expr.node))
    return values.real(loc, literal->value);
  if (auto *literal = std::get_if<BoolLiteral>(&expr.node))
    return values.boolean(loc, literal->value);
  if (auto *name = std::get_if<NameExpr>(&expr.node)) {
    if (name->kind == NameExpr::Kind::Log2e)
      return values.real(loc, std::numbers::log2e);
    if (name->kind == NameExpr::Kind::Ln2)
      return values.real(loc, std::numbers::ln2);
    return body.names.lookup(name->name);
  }
  if (auto *unary = std::get_if<UnaryExpr>(&expr.node)) {
    Value operand = emit(body, *unary->operand);
    return unary->op == UnaryOp::Not ? values.logicalNot(loc, operand)
                                     : values.negate(loc, operand);
  }
  if (auto *binary = std::get_if<BinaryExpr>(&expr.node)) {
    Value lhs = emit(body, *binary->lhs);
    Value rhs = emit(body, *binary->rhs);
    return values.binary(loc, binary->op, lhs, rhs);
  }
  if (auto *conditional = std::get_if<ConditionalExpr>(&expr.node)) {
    Value condition = emit(body, *conditional->condition);
    Value whenTrue = emit(body, *conditional->whenTrue);
    Value whenFalse = emit(body, *conditional->whenFalse);
    return values.select(loc, condition, whenTrue, whenFalse);
  }
  if (auto *call = std::get_if<CallExpr>(&expr.node))
    return emitCall(body, *call, loc);
  return emitElement(body, std::get<SubscriptExpr>(expr.node), loc);
}

Value FunctionEmitter::emitCall(Body &body, const CallExpr &call, mlir::Location loc) {
  SmallVector<Value> arguments;
  for (const ExprPtr &argument : call.arguments)
    arguments.push_back(emit(body, *argument));
  if (call.target == CallExpr::Target::Function)
    return this->call(*call.function, arguments, body.own);
  switch (call.builtin) {
  case Builtin::Where:
    return values.select(loc, arguments[0], arguments[1], arguments[2]);
  case Builtin::ToF32:
    return values.toFloat(loc, arguments[0]);
  case Builtin::ToI32:
    return values.toInteger(loc, arguments[0]);
  default: // the checker keeps what works on tiles alone out of functions
    return values.elementwise(loc, call.builtin, arguments);
  }
}

Value FunctionEmitter::emitElement(Body &body, const SubscriptExpr &subscript, mlir::Location loc) {
  Value view = body.names.lookup(subscript.view);
  auto type = cast<tile::ViewType>(view.getType());
  bool ofQueries = false;
  for (int64_t axis = 0; axis < type.getRank(); ++axis)
    ofQueries |= type.getExtentName(axis) == "Nq";
  SmallVector<Value> indices;
  SmallVector<int64_t> inside;
  for (auto [at, range] : llvm::enumerate(subscript.axes)) {
    auto axis = static_cast<int64_t>(at);
    StringRef extent = type.getExtentName(axis);
    // Data of queries and of keys lies in the shard by row; a matrix of both holds all keys of a
    // query.
    Value own = llvm::StringSwitch<Value>(extent)
                    .Case("B", body.own.b)
                    .Case("H", body.own.h)
                    .Case("Nq", body.own.queryRow)
                    .Case("Nk", ofQueries ? body.own.j : body.own.keyRow)
                    .Default({});
    bool isOwn = extent == "Nq" || extent == "Nk";
    Value index = isOwn ? own : emit(body, *range.offset);
    if (index == own)
      inside.push_back(axis);
    indices.push_back(index);
  }
  return tile::ElementOp::create(builder, loc, type.getElementType(), view, indices, Value(),
                                 inside);
}

} // namespace ringc
