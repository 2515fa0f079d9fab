#include "ringc/compiler/dialect/Tile.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace ringc::tile;

#include "ringc/compiler/dialect/TileDialect.cpp.inc"
#include "ringc/compiler/dialect/TileEnums.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "ringc/compiler/dialect/TileTypes.cpp.inc"
#define GET_OP_CLASSES
#include "ringc/compiler/dialect/Tile.cpp.inc"

void TileDialect::initialize() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "ringc/compiler/dialect/TileTypes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "ringc/compiler/dialect/Tile.cpp.inc"
      >();
}

bool ringc::tile::isTile(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && tensor.getRank() == 2 && tensor.hasStaticShape();
}

static RankedTensorType tileType(Value value) { return cast<RankedTensorType>(value.getType()); }

LogicalResult ViewType::verify(llvm::function_ref<InFlightDiagnostic()> emitError, Type element,
                               ArrayAttr extents, StringAttr order) {
  if (extents.empty())
    return emitError() << "a view has at least one axis";
  for (Attribute extent : extents)
    if (!isa<StringAttr>(extent))
      return emitError() << "extents are strings, got " << extent;
  if (!order)
    return success();
  int64_t columns;
  if (order.getValue() != "sums")
    return emitError() << "the order of a view is \"sums\" where it has one, got " << order;
  if (!element.isF32() || extents.size() != 2 ||
      cast<StringAttr>(extents[1]).getValue().getAsInteger(10, columns))
    return emitError() << "sums are f32 and have two axes, the second a number";
  return success();
}

StringRef ViewType::getExtentName(int64_t axis) const {
  return cast<StringAttr>(getExtents()[axis]).getValue();
}

int64_t ViewType::getStaticExtent(int64_t axis) const {
  int64_t value = -1;
  return getExtentName(axis).getAsInteger(10, value) ? -1 : value;
}

/// A window of `view` at `offsets` and the tile that it becomes: one offset an axis, a column where
/// the view has rank 1.
static LogicalResult verifyWindow(Operation *op, ViewType view, size_t offsets,
                                  RankedTensorType tile) {
  if (view.getRank() > 2)
    return op->emitOpError("needs a view of rank 1 or 2, got ") << view;
  if (static_cast<int64_t>(offsets) != view.getRank())
    return op->emitOpError("needs ") << view.getRank() << " offsets, got " << offsets;
  if (view.getElementType() != tile.getElementType())
    return op->emitOpError("element types differ: ") << view << " and " << tile;
  if (view.getRank() == 1 && tile.getDimSize(1) != 1)
    return op->emitOpError("a window of a rank-1 view is a column, got ") << tile;
  return success();
}

/// The rows of `tile` by name: a column of i32, where there is one.
static LogicalResult verifyRows(Operation *op, Value rows, ViewType view, RankedTensorType tile) {
  if (!rows)
    return success();
  auto type = tileType(rows);
  if (!type.getElementType().isInteger(32) || type.getDimSize(1) != 1 ||
      type.getDimSize(0) != tile.getDimSize(0))
    return op->emitOpError("rows have type ") << type << ", the tile " << tile;
  if (view.isOfSums())
    return op->emitOpError("names rows of sums");
  return success();
}

LogicalResult OwnIndexOp::verify() {
  if (getExtent() != "B" && getExtent() != "Hkv")
    return emitOpError("is of B or of Hkv, not of ") << getExtent();
  return success();
}

LogicalResult SliceOp::verify() {
  ViewType view = getView().getType(), result = getResult().getType();
  if (view.isOfSums())
    return emitOpError("indexes sums");
  if (getIndices().size() != getAxes().size())
    return emitOpError("has ") << getIndices().size() << " indices for " << getAxes().size()
                               << " axes";
  SmallVector<Attribute> kept;
  for (auto [axis, extent] : llvm::enumerate(view.getExtents()))
    if (!llvm::is_contained(getAxes(), static_cast<int64_t>(axis)))
      kept.push_back(extent);
  if (!llvm::is_sorted(getAxes()) || getAxes().empty() || getAxes().front() < 0 ||
      getAxes().back() >= view.getRank() ||
      kept.size() + getAxes().size() != static_cast<size_t>(view.getRank()) ||
      result.getElementType() != view.getElementType() ||
      result.getExtents().getValue() != ArrayRef(kept))
    return emitOpError("cannot turn ") << view << " into " << result;
  for (int64_t axis : getInside())
    if (!llvm::is_contained(getAxes(), axis))
      return emitOpError("inside has axis ") << axis << ", which is not indexed";
  return success();
}

LogicalResult LoadOp::verify() {
  if (getFill() && getFill().getType() != getView().getType().getElementType())
    return emitOpError("fill has type ") << getFill().getType();
  if (getWhere() && (tileType(getWhere()).getDimSize(1) != 1 ||
                     tileType(getWhere()).getDimSize(0) != tileType(getResult()).getDimSize(0)))
    return emitOpError("row predicate has type ") << getWhere().getType();
  if (failed(verifyRows(*this, getRows(), getView().getType(), tileType(getResult()))))
    return failure();
  return verifyWindow(*this, getView().getType(), getOffsets().size(), tileType(getResult()));
}

LogicalResult StoreOp::verify() {
  if (getAdd() && !getView().getType().getElementType().isF32())
    return emitOpError("adds to f32 views alone, got ") << getView().getType();
  if (failed(verifyRows(*this, getRows(), getView().getType(), tileType(getTile()))))
    return failure();
  return verifyWindow(*this, getView().getType(), getOffsets().size(), tileType(getTile()));
}

LogicalResult ElementOp::verify() {
  ViewType view = getView().getType();
  if (static_cast<int64_t>(getIndices().size()) != view.getRank())
    return emitOpError("needs ") << view.getRank() << " indices, got " << getIndices().size();
  if (view.getElementType() != getResult().getType())
    return emitOpError("result has type ") << getResult().getType() << ", the view " << view;
  if (getFill() && getFill().getType() != getResult().getType())
    return emitOpError("fill has type ") << getFill().getType();
  for (int64_t axis : getInside())
    if (axis < 0 || axis >= view.getRank())
      return emitOpError("inside has axis ") << axis << ", the view " << view.getRank() << " axes";
  return success();
}

LogicalResult IotaOp::verify() {
  auto type = tileType(getResult());
  if (!type.getElementType().isInteger(32) || (type.getDimSize(0) != 1 && type.getDimSize(1) != 1))
    return emitOpError("is a column or a row of i32, not ") << type;
  return success();
}

LogicalResult PositionOp::verify() {
  auto type = tileType(getResult());
  if (!type.getElementType().isInteger(32) || type.getDimSize(1) != 1)
    return emitOpError("is a column of i32, not ") << type;
  return success();
}

LogicalResult RandomOp::verify() {
  if (!getElementTypeOrSelf(getSeed()).isInteger(32) || !getElementTypeOrSelf(getResult()).isF32())
    return emitOpError("makes f32 of i32, not ") << getType() << " of " << getSeed().getType();
  return success();
}

LogicalResult BroadcastOp::verify() {
  auto from = tileType(getOperand()), to = tileType(getResult());
  for (int axis : {0, 1})
    if (from.getDimSize(axis) != 1 && from.getDimSize(axis) != to.getDimSize(axis))
      return emitOpError("cannot repeat ") << from << " to " << to;
  return success();
}

LogicalResult TransposeOp::verify() {
  auto from = tileType(getOperand()), to = tileType(getResult());
  if (from.getDimSize(0) != to.getDimSize(1) || from.getDimSize(1) != to.getDimSize(0))
    return emitOpError("cannot turn ") << from << " into " << to;
  return success();
}

LogicalResult DotOp::verify() {
  auto a = tileType(getA()), b = tileType(getB()), result = tileType(getResult());
  if (a.getDimSize(1) != b.getDimSize(0))
    return emitOpError("a has ") << a.getDimSize(1) << " columns, b has " << b.getDimSize(0)
                                 << " rows";
  if (a.getElementType() != b.getElementType())
    return emitOpError("operands have types ") << a << " and " << b;
  if (result.getDimSize(0) != a.getDimSize(0) || result.getDimSize(1) != b.getDimSize(1) ||
      !result.getElementType().isF32())
    return emitOpError("result has type ") << result;
  if (getAcc() && getAcc().getType() != result)
    return emitOpError("accumulator has type ") << getAcc().getType();
  return success();
}

LogicalResult ShortcutOp::verify() {
  auto rows = tileType(getRows()), result = tileType(getResult());
  if (!rows.getElementType().isInteger(1) || rows.getDimSize(1) != 1 ||
      rows.getDimSize(0) != result.getDimSize(0))
    return emitOpError("needs a column of i1 with the rows of ") << result << ", got " << rows;
  return success();
}

LogicalResult ReduceOp::verify() {
  auto from = tileType(getOperand()), to = tileType(getResult());
  if (to.getDimSize(getAxis()) != 1 ||
      to.getDimSize(1 - getAxis()) != from.getDimSize(1 - getAxis()))
    return emitOpError("along axis ") << getAxis() << " of " << from << " cannot give " << to;
  return success();
}

/// `function` takes `leading` scalars and then the parameters.
static LogicalResult verifyFunction(Operation *op, SymbolTableCollection &symbols,
                                    FlatSymbolRefAttr name, size_t leading, ValueRange parameters) {
  auto function = symbols.lookupNearestSymbolFrom<func::FuncOp>(op, name);
  if (!function)
    return op->emitOpError("unknown function ") << name;
  ArrayRef<Type> inputs = function.getFunctionType().getInputs();
  if (inputs.size() != leading + parameters.size())
    return op->emitOpError() << name << " takes " << inputs.size() << " arguments, got "
                             << leading + parameters.size();
  for (auto [expected, parameter] : llvm::zip(inputs.drop_front(leading), parameters))
    if (expected != parameter.getType())
      return op->emitOpError("parameter of type ")
             << parameter.getType() << " where " << name << " takes " << expected;
  return success();
}

LogicalResult ApplyOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return verifyFunction(*this, symbols, getFunctionAttr(), getOperand() ? 7 : 6, getParameters());
}

LogicalResult VisibilityOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return verifyFunction(*this, symbols, getFunctionAttr(), 11, getParameters());
}

LogicalResult MaskedForOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return verifyFunction(*this, symbols, getFunctionAttr(), 6, getParameters());
}

LogicalResult MaskedForOp::verify() {
  if (getStep() <= 0)
    return emitOpError("step must be positive, got ") << getStep();
  Block &body = getBody().front();
  if (body.getNumArguments() != 2 + getInits().size())
    return emitOpError("body has ")
           << body.getNumArguments() << " arguments, needs " << 2 + getInits().size();
  if (!body.getArgument(0).getType().isInteger(32))
    return emitOpError("induction variable has type ") << body.getArgument(0).getType();
  auto seen = dyn_cast<RankedTensorType>(body.getArgument(1).getType());
  if (!seen || !isTile(seen) || !seen.getElementType().isInteger(1) ||
      seen.getDimSize(getLoopAxis()) != getStep())
    return emitOpError("predicate tile has type ") << body.getArgument(1).getType();
  auto yield = cast<YieldOp>(body.getTerminator());
  if (yield.getOperandTypes() != getInits().getTypes() ||
      getResultTypes() != getInits().getTypes() ||
      ValueRange(getIterArgs()).getTypes() != getInits().getTypes())
    return emitOpError("iteration arguments, yield and results differ in type");
  return success();
}

void YieldOp::build(OpBuilder &, OperationState &) {}
