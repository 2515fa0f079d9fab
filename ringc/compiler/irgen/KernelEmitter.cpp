#include "ringc/compiler/irgen/KernelEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "ringc/compiler/dialect/Tile.h"
#include "ringc/compiler/frontend/Walk.h"
#include "ringc/compiler/irgen/Generate.h"

using namespace mlir;

namespace ringc {

using namespace frontend; // of the tree's nodes; MLIR's types of the same name are written out
using tile::TileDialect;

OwningOpRef<ModuleOp> generate(const KernelDecl &kernel, const Program &program,
                               const Bindings &bindings, MLIRContext *context) {
  context->loadDialect<TileDialect, func::FuncDialect, arith::ArithDialect, math::MathDialect,
                       scf::SCFDialect>();
  OwningOpRef<ModuleOp> module =
      ModuleOp::create(locationOf(context, *kernel.source, kernel.location));
  KernelEmitter(kernel, program, bindings, *module).emit();
  return module;
}

KernelEmitter::KernelEmitter(const KernelDecl &decl, const Program &sources, const Bindings &bound,
                             ModuleOp into)
    : kernel(decl), program(sources), bindings(bound), module(into), builder(into.getContext()),
      values(builder), functions(builder) {}

void KernelEmitter::emit() {
  collectArguments();
  builder.setInsertionPointToEnd(module.getBody());
  for (const ConstantDecl &constant : kernel.constants) {
    bool isMask = constant.kind == ConstantDecl::Kind::Predicate;
    if (isMask || constant.kind == ConstantDecl::Kind::Function)
      emitApplied(constant.name, isMask, bindings.functions.at(constant.name));
  }
  for (const FunctionDecl *decl : directCalls)
    emitApplied(decl->name, decl->kind == FunctionDecl::Kind::Mask, decl);

  kernelOp = func::FuncOp::create(builder, loc(kernel.location), kernel.name,
                                  builder.getFunctionType(argumentTypes, {}));
  setAttributes();
  builder.setInsertionPointToStart(kernelOp.addEntryBlock());
  for (auto [name, argument] : llvm::zip(argumentNames, kernelOp.getArguments()))
    names[name] = argument;
  for (auto [axis, grid] : llvm::enumerate(kernel.grid)) {
    mlir::Location place = loc(grid.location);
    Value id = tile::ProgramIdOp::create(builder, place, builder.getI32Type(),
                                         static_cast<uint32_t>(axis));
    Value step = values.integer(place, sizeOf(grid.step));
    names[grid.variable] = arith::MulIOp::create(builder, place, id, step);
  }
  emit(kernel.body);
  func::ReturnOp::create(builder, loc(kernel.location));
}

void KernelEmitter::collectArguments() {
  for (const Parameter &parameter : kernel.parameters)
    addArgument(parameter.name, typeOf(parameter.type));
  for (const ConstantDecl &constant : kernel.constants)
    if (auto bound = bindings.functions.find(constant.name); bound != bindings.functions.end())
      for (const FunctionDecl *decl : bound->second)
        addParametersOf(*decl);
  walk(kernel.body, [&](const Expr &expr) {
    auto *call = std::get_if<CallExpr>(&expr.node);
    if (call && call->target == CallExpr::Target::Function &&
        call->function->kind != FunctionDecl::Kind::Function &&
        !llvm::is_contained(directCalls, call->function))
      directCalls.push_back(call->function);
  });
  for (const FunctionDecl *decl : directCalls)
    addParametersOf(*decl);
}

void KernelEmitter::addArgument(std::string name, mlir::Type type) {
  if (llvm::is_contained(argumentNames, name))
    return; // two constants may be bound to the same function
  argumentNames.push_back(std::move(name));
  argumentTypes.push_back(type);
}

void KernelEmitter::addParametersOf(const FunctionDecl &decl) {
  for (const Parameter &parameter : ArrayRef(decl.parameters).drop_front(decl.positionParameters()))
    addArgument(bindings.nameOf(decl) + "." + parameter.name, typeOf(parameter.type));
}

void KernelEmitter::setAttributes() {
  MLIRContext *context = builder.getContext();
  kernelOp->setAttr(TileDialect::kernelAttr, builder.getUnitAttr());
  SmallVector<Attribute> grid;
  for (const GridAxisDecl &axis : kernel.grid) {
    std::string extent = axis.extent.isNumber() || bindings.integers.contains(axis.extent.name)
                             ? std::to_string(sizeOf(axis.extent))
                             : axis.extent.name;
    grid.push_back(builder.getArrayAttr(
        {builder.getStringAttr(extent), builder.getI64IntegerAttr(sizeOf(axis.step))}));
  }
  kernelOp->setAttr(TileDialect::gridAttr, builder.getArrayAttr(grid));
  if (kernel.perHead()) {
    kernelOp->setAttr(TileDialect::perHeadAttr, builder.getUnitAttr());
    kernelOp->setAttr(TileDialect::groupAttr, builder.getI64IntegerAttr(bindings.groupSize));
    kernelOp->setAttr(TileDialect::headMapAttr, builder.getStringAttr(enumName(bindings.headMap)));
  }
  if (bindings.f32Products == F32Products::Tf32)
    kernelOp->setAttr(TileDialect::tf32Attr, builder.getUnitAttr());
  for (auto [index, name] : llvm::enumerate(argumentNames)) {
    unsigned argument = static_cast<unsigned>(index);
    kernelOp.setArgAttr(argument, TileDialect::nameAttr, StringAttr::get(context, name));
    if (auto positions = dyn_cast<tile::PositionsType>(argumentTypes[argument])) {
      LayoutKind layout =
          positions.getExtent().getValue() == "Nq" ? bindings.queryLayout : bindings.keyLayout;
      kernelOp.setArgAttr(argument, TileDialect::layoutAttr,
                          StringAttr::get(context, enumName(layout)));
    }
  }
}

mlir::Type KernelEmitter::elementOf(const Element &element) {
  if (element.kind != Element::Kind::Constant)
    return elementType(builder.getContext(), element.kind);
  switch (bindings.types.at(element.name)) {
  case ElementType::F32:
    return builder.getF32Type();
  case ElementType::F16:
    return builder.getF16Type();
  case ElementType::BF16:
    return builder.getBF16Type();
  case ElementType::I32:
  case ElementType::Bool:
    break;
  }
  llvm_unreachable("a constant of kind type is a float");
}

mlir::Type KernelEmitter::typeOf(const frontend::Type &type) {
  MLIRContext *context = builder.getContext();
  switch (type.kind) {
  case frontend::Type::Kind::Scalar:
    return elementOf(type.element);
  case frontend::Type::Kind::View: {
    SmallVector<Attribute> extents;
    for (const Extent &extent : type.shape) {
      bool known = extent.isNumber() || bindings.integers.contains(extent.name);
      extents.push_back(
          builder.getStringAttr(known ? std::to_string(sizeOf(extent)) : extent.name));
    }
    return tile::ViewType::get(context, elementOf(type.element), builder.getArrayAttr(extents),
                               type.sums ? builder.getStringAttr("sums") : StringAttr());
  }
  case frontend::Type::Kind::Positions:
    return tile::PositionsType::get(context, builder.getStringAttr(type.shape.front().name));
  case frontend::Type::Kind::Carry:
    return tile::CarryType::get(context);
  case frontend::Type::Kind::Tile:
    return RankedTensorType::get(shapeOf(type.shape), elementOf(type.element));
  case frontend::Type::Kind::PositionWindow:
  case frontend::Type::Kind::Invalid:
    break;
  }
  llvm_unreachable("not a type of a value");
}

int64_t KernelEmitter::sizeOf(const Extent &extent) const {
  return extent.isNumber() ? extent.number : bindings.integers.at(extent.name);
}

SmallVector<int64_t> KernelEmitter::shapeOf(ArrayRef<Extent> extents) const {
  return llvm::map_to_vector(extents, [&](const Extent &extent) { return sizeOf(extent); });
}

SmallVector<Value> KernelEmitter::lookup(ArrayRef<std::string> wanted) const {
  return llvm::map_to_vector(wanted, [&](const std::string &name) { return names.lookup(name); });
}

} // namespace ringc
