#include "ringc/compiler/passes/gpu/Lowering.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;
using namespace ringc;
using namespace ringc::gpu;

/// Windows whose place is known a round ahead: what moves them is the loop alone.
static bool isKnownAhead(ValueRange places, scf::ForOp loop) {
  return llvm::all_of(places, [&](Value place) {
    if (place == loop.getInductionVar())
      return true;
    Operation *maker = place.getDefiningOp();
    Region *region = maker ? maker->getParentRegion() : place.getParentRegion();
    return !loop.getRegion().isAncestor(region);
  });
}

/// Windows whose place the round says by way of scalars of the loop, among them elements of a view,
/// or in a part of a view that is taken in the loop. `makers` are what computes the place, in
/// order.
static bool followsFromRound(Value value, scf::ForOp loop, llvm::SetVector<Operation *> &makers) {
  if (value == loop.getInductionVar() || !loop.getRegion().isAncestor(value.getParentRegion()))
    return true;
  Operation *maker = value.getDefiningOp();
  if (!maker || maker->getNumRegions() || !isPure(maker) || tile::isTile(value.getType()) ||
      isa<tile::VisibilityOp>(maker))
    return false;
  if (!makers.contains(maker)) {
    for (Value operand : maker->getOperands())
      if (!followsFromRound(operand, loop, makers))
        return false;
    makers.insert(maker);
  }
  return true;
}

static bool isNamedAhead(tile::LoadOp load, scf::ForOp loop, llvm::SetVector<Operation *> &makers) {
  auto isRound = [&](Value value) { return value == loop.getInductionVar(); };
  auto follows = [&](Value value) { return followsFromRound(value, loop, makers); };
  return !load.getRows() && follows(load.getView()) && llvm::all_of(load.getOffsets(), follows) &&
         llvm::any_of(makers, llvm::IsaPred<tile::ElementOp, tile::SliceOp>) &&
         (llvm::any_of(load.getOffsets(), isRound) || llvm::any_of(makers, [&](Operation *maker) {
            return llvm::any_of(maker->getOperands(), isRound);
          }));
}

/// The windows that every way through a round reads, in the loop's body or in all cases of its
/// switch that read any.
std::optional<Lowering::Pipeline> Lowering::pipelineOf(scf::ForOp loop) {
  if (!target.copiesAhead)
    return std::nullopt;
  Pipeline pipeline;
  SmallVector<Block *> ways{loop.getBody()};
  for (Operation &op : loop.getBody()->without_terminator()) {
    if (auto visibility = dyn_cast<tile::VisibilityOp>(op)) {
      if (pipeline.visibility || !isKnownAhead(visibility->getOperands(), loop))
        return std::nullopt;
      pipeline.visibility = visibility;
    }
    if (auto choice = dyn_cast<scf::IndexSwitchOp>(op)) {
      ways.clear();
      for (Region &region : choice->getRegions())
        if (!region.front().getOps<tile::LoadOp>().empty())
          ways.push_back(&region.front());
    }
  }
  auto same = [](tile::LoadOp a, tile::LoadOp b) {
    return a.getView() == b.getView() && a.getOffsets() == b.getOffsets() &&
           a.getType() == b.getType();
  };
  // All loads that leave out rows leave out the same: where the visibility of the tile asks for it.
  auto rowsAreKnownAhead = [&](Value where) {
    if (!where)
      return true;
    scf::IfOp branch = rowsKeptBranch(where);
    if (!branch || !pipeline.visibility || (pipeline.where && pipeline.where != where))
      return false;
    auto condition = branch.getCondition().getDefiningOp<arith::CmpIOp>();
    bool known = condition && condition.getLhs() == pipeline.visibility.getResult();
    branch.getThenRegion().walk([&](Operation *op) {
      for (Value operand : op->getOperands())
        known &= branch.getThenRegion().isAncestor(operand.getParentRegion()) ||
                 isKnownAhead(operand, loop);
    });
    return known;
  };
  auto eligible = [&](tile::LoadOp load) {
    if (!(goesToShared(load) || isStreamedColumn(load)) || load.getFill() ||
        !rowsAreKnownAhead(load.getWhere()))
      return false;
    if (isKnownAhead(load.getView(), loop) && isKnownAhead(load.getOffsets(), loop))
      return llvm::is_contained(load.getOffsets(), loop.getInductionVar());
    llvm::SetVector<Operation *> makers;
    if (!isNamedAhead(load, loop, makers))
      return false;
    pipeline.places.insert(makers.begin(), makers.end());
    return true;
  };
  if (ways.empty())
    return std::nullopt;
  for (auto load : ways.front()->getOps<tile::LoadOp>()) {
    if (!eligible(load))
      continue;
    SmallVector<Value> names;
    for (Block *way : ways)
      for (auto other : way->getOps<tile::LoadOp>())
        if (eligible(other) && same(load, other)) {
          names.push_back(other.getResult());
          break;
        }
    if (names.size() != ways.size())
      continue;
    pipeline.loads.push_back(load);
    if (Value where = load.getWhere()) {
      pipeline.where = where;
      pipeline.whereBytes = sharedTileOf(load).paddedRows * 4;
    }
    pipeline.names.push_back(names);
    SharedTile tile = isStreamedColumn(load) ? columnPlaceOf(load) : sharedTileOf(load);
    pipeline.stageBytes += tile.bytes();
    pipeline.tiles.push_back(tile);
  }
  if (pipeline.loads.empty() ||
      sharedTop + 2 * pipeline.stageBytes + pipeline.whereBytes > target.sharedBytes)
    return std::nullopt;
  int64_t offset = 0;
  for (SharedTile &tile : pipeline.tiles)
    allocateShared(tile.bytes(), tile.offset);
  allocateShared(pipeline.stageBytes, offset); // the other copies, in the same order behind
  allocateShared(pipeline.whereBytes, pipeline.whereOffset);
  for (ArrayRef<Value> names : pipeline.names)
    for (Value name : names)
      provided.insert(name.getDefiningOp());
  if (pipeline.visibility)
    provided.insert(pipeline.visibility);
  return pipeline;
}

/// What is visible in a round: nothing behind the last one.
Value Lowering::visibleAt(const Pipeline &pipeline, scf::ForOp loop, Value round) {
  Value upper = scalars.lookup(loop.getUpperBound());
  Value in = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::slt, round, upper);
  if (!pipeline.visibility)
    return arith::SelectOp::create(builder, loc, in, i32(2), i32(0));
  auto branch = scf::IfOp::create(builder, loc, TypeRange{builder.getI32Type()}, in,
                                  /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(branch.thenBlock());
  scalars[loop.getInductionVar()] = round;
  scf::YieldOp::create(builder, loc, scalarCode.visibility(pipeline.visibility));
  builder.setInsertionPointToStart(branch.elseBlock());
  scf::YieldOp::create(builder, loc, i32(0));
  return branch.getResult(0);
}

/// Starts the copies of a round where something is `seen` in it.
LogicalResult Lowering::copyRound(const Pipeline &pipeline, scf::ForOp loop, Value round,
                                  Value seen, Value stageOffset) {
  Value any = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ne, seen, i32(0));
  auto branch = scf::IfOp::create(builder, loc, any, /*withElseRegion=*/false);
  {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(branch.thenBlock());
    scalars[loop.getInductionVar()] = round;
    for (Operation *maker : pipeline.places)
      if (failed(lowerScalar(maker)))
        return failure();
    std::optional<RowsKept> kept;
    if (pipeline.where) {
      tile::VisibilityOp visibility = pipeline.visibility;
      scalars[visibility.getResult()] = seen;
      Operation *condition = rowsKeptBranch(pipeline.where).getCondition().getDefiningOp();
      if (failed(lowerScalar(condition)))
        return failure();
      FailureOr<RowsKept> written = shareRowsKept(pipeline.where, pipeline.whereOffset);
      if (failed(written))
        return failure();
      kept = *written;
      // The mask sees no row outside, and a round in which a row of it lies outside asks the mask.
      Value rows =
          visibility.getLoopAxis() == 0 ? visibility.getQueryRow() : visibility.getKeyRow();
      kept->areInside =
          rows == loop.getInductionVar() && llvm::all_of(pipeline.loads, [&](tile::LoadOp each) {
            return !each.getWhere() || each.getOffsets()[0] == rows;
          });
    }
    for (auto [load, tile] : llvm::zip(pipeline.loads, pipeline.tiles)) {
      SharedTile here = tile;
      here.stage = stageOffset;
      tile::LoadOp each = load;
      if (isStreamedColumn(each))
        copyColumn(each, here);
      else if (failed(copyIn(each, here, each.getWhere() ? kept : std::nullopt)))
        return failure();
    }
  }
  call("llvm.nvvm.cp.async.commit.group", {});
  return success();
}
