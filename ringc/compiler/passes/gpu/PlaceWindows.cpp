// Windows of views: those that products read go to shared memory.

#include "ringc/compiler/passes/gpu/Placement.h"

#include "ringc/compiler/passes/StorePlaces.h"
#include "ringc/compiler/passes/gpu/RowsKept.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace ringc;
using namespace ringc::gpu;

static RankedTensorType typeOf(Value tile) { return cast<RankedTensorType>(tile.getType()); }

LogicalResult Placement::placeLoad(tile::LoadOp load) {
  bool toRegisters = Layouts::goesToRegisters(load);
  if (Layouts::goesToShared(load) && failed(copy(load)))
    return failure();
  if (!toRegisters)
    return success();
  if (Value where = load.getWhere(); where && rowsKeptBranch(where))
    load.getWhereMutable().clear(); // what is masked anyway
  if (!load.getRows())
    return success();
  Value rows = namedBy(load.getRows());
  auto made = block::LoadOp::create(builder, loc, load.getType(), load.getView(), load.getOffsets(),
                                    rows, load.getFill(), load.getWhere());
  block::setLayouts(made, block::layoutOf(load.getResult()));
  replace(load, made.getResult());
  return success();
}

/// Products read the window from shared memory.
LogicalResult Placement::copy(tile::LoadOp load) {
  TypedAttr fill;
  if (Value given = load.getFill()) {
    auto constant = given.getDefiningOp<arith::ConstantOp>();
    if (!constant)
      return load.emitOpError("fills a product's operand with a number that is not constant");
    fill = constant.getValue();
  }
  Type element = load.getView().getType().getElementType();
  SharedTile place;
  place.rows = load.getType().getDimSize(0);
  place.columns = load.getType().getDimSize(1);
  auto [paddedRows, paddedColumns] = extentsRead.lookup(load.getResult());
  place.paddedRows = paddedRows;
  place.paddedColumns = paddedColumns;
  place.elementBytes = bytesInMemory(element);
  // What is copied anew in each round.
  place.swizzled = place.hasWholeLines() && load->getParentOfType<scf::ForOp>();
  Value to = buffer(place, element);
  RowsKept rows;
  if (Value where = load.getWhere()) {
    FailureOr<RowsKept> found = rowsKept(where, place.paddedRows);
    if (failed(found))
      return failure();
    rows = *found;
  }
  Value names = load.getRows() ? namedBy(load.getRows()) : Value();
  block::CopyOp::create(builder, loc, load.getView(), load.getOffsets(), names, fill, rows.words,
                        rows.condition, to, /*inside=*/false);
  buffers[load.getResult()] = to;
  return success();
}

/// The rows that `where` keeps, computed by the block, for the threads that copy them. Where
/// `where` is a branch that otherwise keeps all, so is this.
FailureOr<Placement::RowsKept> Placement::rowsKept(Value where, int64_t count) {
  RowsKept rows{words(count), {}};
  scf::IfOp branch = rowsKeptBranch(where);
  if (!branch) {
    block::ShareOp::create(builder, loc, where, rows.words, /*first=*/0);
    return rows;
  }
  rows.condition = branch.getCondition();
  auto made = scf::IfOp::create(builder, loc, rows.condition, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(builder);
  Value inBranch = branch.thenYield().getOperand(0);
  if (tile::ApplyOp mask = maskBehind(inBranch); mask && isOneRun(mask, branch)) {
    builder.setInsertionPointToStart(made.thenBlock());
    auto type = typeOf(mask.getResult());
    block::ShareSeenOp::create(
        builder, loc, mask.getFunctionAttr(), mask.getQueryPositions(), mask.getQueryRow(),
        builder.getI64IntegerAttr(type.getDimSize(0)), mask.getKeyPositions(), mask.getKeyRow(),
        builder.getI64IntegerAttr(type.getDimSize(1)), mask.getParameters(), rows.words);
    return rows;
  }
  IRMapping mapping;
  builder.setInsertionPointToStart(made.thenBlock());
  for (Operation &op : branch.thenBlock()->without_terminator())
    builder.clone(op, mapping);
  Location here = loc;
  if (failed(place(*made.thenBlock())))
    return failure();
  loc = here;
  builder.setInsertionPoint(made.thenBlock()->getTerminator());
  block::ShareOp::create(builder, loc, mapping.lookupOrDefault(inBranch), rows.words,
                         /*first=*/0);
  return rows;
}

/// A column of rows for the threads that need it: not those that hold it.
Value Placement::namedBy(Value rows) {
  Value &there = named[rows];
  if (!there) {
    there = words(typeOf(rows).getDimSize(0));
    block::ShareOp::create(builder, loc, rows, there, /*first=*/0);
  }
  return there;
}

void Placement::placeStore(tile::StoreOp store) {
  Value rows = store.getRows() ? namedBy(store.getRows()) : Value();
  bool atomic = store.getAdd() && !storePlacesOf(store).areOwn();
  block::StoreOp::create(builder, loc, store.getTile(), store.getView(), store.getOffsets(), rows,
                         store.getAdd(), atomic);
  store.erase();
}
