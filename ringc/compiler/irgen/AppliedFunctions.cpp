#include "ringc/compiler/irgen/KernelEmitter.h"

#include "ringc/compiler/dialect/Tile.h"

using namespace mlir;

namespace ringc {

using namespace frontend; // of the tree's nodes; MLIR's types of the same name are written out

/// A function whose body is `return s` or `return true` changes nothing.
static bool isTrivial(const FunctionDecl &decl) {
  auto *result = std::get_if<ReturnStatement>(&decl.body.front().node);
  if (!result)
    return false;
  auto *name = std::get_if<NameExpr>(&result->value->node);
  auto *literal = std::get_if<BoolLiteral>(&result->value->node);
  return (decl.kind == FunctionDecl::Kind::Score && name && name->name == "s") ||
         (decl.kind == FunctionDecl::Kind::Mask && literal && literal->value);
}

void KernelEmitter::emitApplied(const std::string &name, bool isMask,
                                ArrayRef<const FunctionDecl *> parts) {
  SmallVector<const FunctionDecl *> kept;
  for (const FunctionDecl *part : parts)
    if (!isTrivial(*part))
      kept.push_back(part);
  mlir::Location place = kept.empty() ? loc(kernel.location)
                                      : locationOf(builder.getContext(), *kept.front()->source,
                                                   kept.front()->location);
  auto &list = applied[name];
  if (isMask) {
    list.push_back(emitFunction(name, true, kept, place));
    return;
  }
  if (kept.empty())
    return;
  bool given = llvm::any_of(
      kept, [&](const FunctionDecl *part) { return program.findDerivative(*part) != nullptr; });
  if (!given) {
    list.push_back(emitFunction(name, false, kept, place));
    return;
  }
  // The derivative that a user gives belongs to one score, so each of the list stays a function and
  // the chain rule is the kernel's.
  for (auto [index, part] : llvm::enumerate(kept)) {
    std::string symbol = kept.size() == 1 ? name : name + "." + std::to_string(index);
    mlir::Location own = locationOf(builder.getContext(), *part->source, part->location);
    Applied score = emitFunction(symbol, false, part, own);
    if (const FunctionDecl *derivative = program.findDerivative(*part)) {
      Applied slope = emitFunction(symbol + ".given_derivative", false, derivative, own);
      score.function->setAttr("tile.derivative",
                              FlatSymbolRefAttr::get(slope.function.getSymNameAttr()));
    }
    list.push_back(score);
  }
}

/// mask(b, h, i, j, queryRow, keyRow, parameters...) -> i1, the conjunction of its parts, or
/// score(s, b, h, i, j, queryRow, keyRow, parameters...) -> f32, one part after the other.
Applied KernelEmitter::emitFunction(const std::string &name, bool isMask,
                                    ArrayRef<const FunctionDecl *> parts, mlir::Location place) {
  Applied result;
  SmallVector<mlir::Type> types(6, builder.getI32Type());
  if (!isMask)
    types.insert(types.begin(), builder.getF32Type());
  size_t leading = types.size();
  for (const FunctionDecl *part : parts)
    for (const Parameter &parameter :
         ArrayRef(part->parameters).drop_front(part->positionParameters())) {
      result.parameters.push_back(bindings.nameOf(*part) + "." + parameter.name);
      types.push_back(typeOf(parameter.type));
    }
  mlir::Type returned = isMask ? mlir::Type(builder.getI1Type()) : builder.getF32Type();
  result.function =
      func::FuncOp::create(builder, place, name, builder.getFunctionType(types, returned));
  result.function.setPrivate();

  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(result.function.addEntryBlock());
  ArrayRef<BlockArgument> arguments = result.function.getArguments();
  ArrayRef<BlockArgument> positions = arguments.take_front(leading).take_back(6);
  ArrayRef<BlockArgument> parameters = arguments.drop_front(leading);
  OwnIndices own{positions[0], positions[1], positions[3], positions[4], positions[5]};
  Value value = isMask ? Value() : Value(arguments.front());
  for (const FunctionDecl *part : parts) {
    SmallVector<Value> operands;
    if (!isMask)
      operands.push_back(value);
    operands.append(positions.begin(), positions.begin() + 4);
    size_t count = part->parameters.size() - part->positionParameters();
    operands.append(parameters.begin(), parameters.begin() + count);
    parameters = parameters.drop_front(count);
    Value next = functions.call(*part, operands, own);
    value = isMask && value ? values.binary(place, BinaryOp::And, value, next) : next;
  }
  if (!value)
    value = values.boolean(place, true);
  func::ReturnOp::create(builder, place, value);
  return result;
}

} // namespace ringc
