#include "ringc/compiler/irgen/KernelEmitter.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "ringc/compiler/dialect/Tile.h"

#include <utility>

using namespace mlir;

namespace ringc {

using namespace frontend; // of the tree's nodes; MLIR's types of the same name are written out

void KernelEmitter::emit(const frontend::Block &block) {
  for (const Statement &statement : block)
    std::visit([&](const auto &node) { emit(loc(statement.location), node); }, statement.node);
}

void KernelEmitter::emit(mlir::Location, const LetStatement &let) {
  names[let.name] = emit(*let.value);
}

void KernelEmitter::emit(mlir::Location, const VarStatement &var) {
  names[var.name] = emit(*var.value);
}

void KernelEmitter::emit(mlir::Location place, const ResumeStatement &resume) {
  SmallVector<Value> initial;
  for (const ExprPtr &value : resume.initial)
    initial.push_back(emit(*value));
  auto op = tile::ResumeOp::create(builder, place, ValueRange(initial).getTypes(),
                                   names.lookup(resume.carry), initial);
  for (auto [name, value] : llvm::zip(resume.names, op.getResults()))
    names[name] = value;
}

void KernelEmitter::emit(mlir::Location place, const AssignStatement &assign) {
  Value value = emit(*assign.value);
  names[assign.name] =
      assign.op ? values.binary(place, *assign.op, names.lookup(assign.name), value) : value;
}

void KernelEmitter::emit(mlir::Location place, const StoreStatement &store) {
  auto &target = std::get<SubscriptExpr>(store.target->node);
  Value value = emit(*store.value);
  Window window = windowOf(place, target);
  tile::StoreOp::create(builder, place, value, window.view, window.offsets, window.rows,
                        store.adds);
}

void KernelEmitter::emit(mlir::Location place, const FinishStatement &finish) {
  SmallVector<Value> tiles;
  for (const ExprPtr &value : finish.values)
    tiles.push_back(emit(*value));
  auto op = tile::FinishOp::create(builder, place, names.lookup(finish.carry), tiles);
  OpBuilder::InsertionGuard guard(builder);
  builder.createBlock(&op.getBody());
  emit(finish.body);
  tile::YieldOp::create(builder, place, ValueRange());
}

void KernelEmitter::emit(mlir::Location, const ReturnStatement &) {
  llvm_unreachable("a kernel has no return");
}

static void collectAssigned(const frontend::Block &body, SmallVectorImpl<std::string> &assigned) {
  for (const Statement &statement : body) {
    if (auto *assign = std::get_if<AssignStatement>(&statement.node)) {
      if (!llvm::is_contained(assigned, assign->name))
        assigned.push_back(assign->name);
    } else if (auto *loop = std::get_if<ForStatement>(&statement.node)) {
      collectAssigned(loop->body, assigned);
    }
  }
}

static void collectDeclared(const frontend::Block &body, SmallVectorImpl<std::string> &declared) {
  for (const Statement &statement : body) {
    if (auto *var = std::get_if<VarStatement>(&statement.node))
      declared.push_back(var->name);
    else if (auto *loop = std::get_if<ForStatement>(&statement.node))
      collectDeclared(loop->body, declared);
  }
}

/// The variables from outside that a loop's body changes, in the order of its text.
SmallVector<std::string> KernelEmitter::carriedBy(const frontend::Block &body) const {
  SmallVector<std::string> assigned, declared;
  collectAssigned(body, assigned);
  collectDeclared(body, declared);
  llvm::erase_if(assigned,
                 [&](const std::string &name) { return llvm::is_contained(declared, name); });
  return assigned;
}

void KernelEmitter::emit(mlir::Location place, const ForStatement &loop) {
  SmallVector<std::string> carried = carriedBy(loop.body);
  if (loop.predicate)
    emitMaskedLoop(place, loop, carried);
  else
    emitPlainLoop(place, loop, carried);
}

void KernelEmitter::emitPlainLoop(mlir::Location place, const ForStatement &loop,
                                  ArrayRef<std::string> carried) {
  Value lower = emit(*loop.lower);
  Value upper = emit(*loop.upper);
  Value step = values.integer(place, sizeOf(loop.step));
  auto op = scf::ForOp::create(builder, place, lower, upper, step, lookup(carried));
  {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(op.getBody());
    names[loop.variable] = op.getInductionVar();
    for (auto [name, value] : llvm::zip(carried, op.getRegionIterArgs()))
      names[name] = value;
    emit(loop.body);
    if (!carried.empty()) // without results the loop was made with its end
      scf::YieldOp::create(builder, place, lookup(carried));
  }
  for (auto [name, value] : llvm::zip(carried, op.getResults()))
    names[name] = value;
}

void KernelEmitter::emitMaskedLoop(mlir::Location place, const ForStatement &loop,
                                   ArrayRef<std::string> carried) {
  auto &call = std::get<CallExpr>(loop.predicate->node);
  auto rowName = [&](size_t argument) {
    const SubscriptExpr *window = PositionArgument::of(*call.arguments[argument]).window;
    return std::get<NameExpr>(window->axes.front().offset->node).name;
  };
  bool overKeys = rowName(1) == loop.variable;
  Value lower = emit(*loop.lower);
  Value upper = emit(*loop.upper);
  SmallVector<Value> inits = lookup(carried);
  Applied &mask = applied[call.callee].front();
  names[loop.variable] = lower; // in the place of the loop it has no value yet
  Place queries = placeOf(*call.arguments[0]);
  Place keys = placeOf(*call.arguments[1]);
  auto op = tile::MaskedForOp::create(
      builder, place, ValueRange(inits).getTypes(), mask.function.getSymName(), lower, upper,
      static_cast<uint32_t>(sizeOf(loop.step)), overKeys ? 1 : 0, queries.positions, keys.positions,
      overKeys ? queries.row : keys.row, lookup(mask.parameters), inits);
  {
    OpBuilder::InsertionGuard guard(builder);
    SmallVector<mlir::Type> types = {
        builder.getI32Type(),
        RankedTensorType::get({queries.size, keys.size}, builder.getI1Type())};
    llvm::append_range(types, ValueRange(inits).getTypes());
    mlir::Block *body = builder.createBlock(&op.getBody(), {}, types,
                                            SmallVector<mlir::Location>(types.size(), place));
    names[loop.variable] = body->getArgument(0);
    names[loop.seen] = body->getArgument(1);
    for (auto [name, value] : llvm::zip(carried, body->getArguments().drop_front(2)))
      names[name] = value;
    const ForStatement *around = std::exchange(keyLoop, overKeys ? &loop : nullptr);
    emit(loop.body);
    keyLoop = around;
    tile::YieldOp::create(builder, place, lookup(carried));
  }
  for (auto [name, value] : llvm::zip(carried, op.getResults()))
    names[name] = value;
}

} // namespace ringc
