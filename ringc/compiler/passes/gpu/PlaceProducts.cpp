// Products and reductions: what of their operands lies in registers, and what goes from there
// through shared memory.

#include "ringc/compiler/passes/gpu/Placement.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace ringc;
using namespace ringc::gpu;
using Kind = FragmentLayout::Kind;

static RankedTensorType typeOf(Value tile) { return cast<RankedTensorType>(tile.getType()); }

/// Writes a computed tile to shared memory for products that read it, a row for each m. Rows are an
/// odd number of chunks apart, so that the eight of a warp lie in different banks.
Value Placement::share(Value tile) {
  FragmentLayout layout = block::layoutOf(tile);
  Type element = typeOf(tile).getElementType();
  std::array<int64_t, 2> read = extentsRead.lookup(tile);
  SharedTile place;
  place.rows = layout.mExtent;
  place.columns = layout.nExtent;
  place.paddedRows = read[layout.mAxis == 0 ? 0 : 1];
  place.paddedColumns = std::max(read[layout.mAxis == 0 ? 1 : 0], grid.reachN(layout));
  place.elementBytes = bytesInMemory(element);
  place.rowAxis = layout.mAxis;
  Value to = buffer(place, element);
  block::ShareOp::create(builder, loc, tile, to, /*first=*/0);
  return to;
}

LogicalResult Placement::placeProduct(tile::DotOp dot) {
  FragmentLayout layout = block::layoutOf(dot.getResult());
  // result[m, n] = left[m, k] right[k, n]; where m is the columns of the result, its transpose.
  struct Operand {
    Value tile;       // behind transposes
    int mAxis, kAxis; // of `tile`: the axis of the result, and the contracted one
  };
  auto operandOf = [&](Value tile, int mAxis) {
    auto [behind, swapped] = throughTransposes(tile);
    int axis = swapped ? 1 - mAxis : mAxis;
    return Operand{behind, axis, 1 - axis};
  };
  Operand a = operandOf(dot.getA(), 0), b = operandOf(dot.getB(), 1);
  bool straight = layout.mAxis == 0;
  Operand left = straight ? a : b, right = straight ? b : a;
  bool isComputed = !isa_and_nonnull<tile::LoadOp, block::LoadOp>(left.tile.getDefiningOp());
  bool isF32 = typeOf(dot.getA()).getElementType().isF32();
  int64_t depth = typeOf(left.tile).getDimSize(static_cast<unsigned>(left.kAxis));
  // Of a computed left operand a warp in a grid of several columns has those of its own column in
  // registers: whole turns of them.
  bool inRegisters = isComputed && (grid.n == 1 || (!isF32 && depth % grid.nTurn() == 0));
  if (inRegisters) {
    FragmentLayout own = block::layoutOf(left.tile);
    if (own.kind != Kind::Matrix || own.mAxis != left.mAxis)
      return dot.emitOpError("needs its left operand the other way round");
  }
  // What is not made here is shared for this product alone: a constant, a tile of a loop.
  SmallVector<Value> lent;
  for (Value tile : {left.tile, right.tile})
    if (!buffers.lookup(tile) && (tile == right.tile || grid.n > 1)) {
      buffers[tile] = share(tile);
      lent.push_back(tile);
    }
  auto made = block::ProductOp::create(
      builder, loc, dot.getType(), inRegisters ? left.tile : Value(), buffers.lookup(left.tile),
      buffers.lookup(right.tile), dot.getAcc(), builder.getI64IntegerAttr(left.kAxis),
      builder.getI64IntegerAttr(right.kAxis));
  block::setLayouts(made, layout);
  if (!lent.empty())
    block::ReleaseOp::create(builder, loc, buffers.lookup(lent.front()));
  for (Value tile : lent)
    buffers.erase(tile);
  replace(dot, made.getResult());
  return success();
}

FragmentLayout Placement::held(Value tile) const {
  llvm::DenseMap<Value, FragmentLayout> known;
  return held(tile, known);
}

FragmentLayout Placement::held(Value tile, llvm::DenseMap<Value, FragmentLayout> &known) const {
  Operation *maker = tile.getDefiningOp();
  if (isa_and_nonnull<arith::ConstantOp, tile::SplatOp>(maker))
    return {};
  if (isa_and_nonnull<tile::ReduceOp, block::ReduceOp>(maker))
    return block::layoutOf(tile).kind == Kind::Matrix ? single(block::layoutOf(tile))
                                                      : block::layoutOf(tile);
  if (!maker || maker->getNumRegions() ||
      isa<tile::LoadOp, tile::ApplyOp, tile::ResumeOp, tile::IotaOp, tile::PositionOp>(maker) ||
      isa<block::BlockDialect>(maker->getDialect()))
    return block::layoutOf(tile);
  if (auto found = known.find(tile); found != known.end())
    return found->second;
  FragmentLayout layout, full = block::layoutOf(tile);
  if (isa<tile::TransposeOp>(maker)) {
    layout = held(maker->getOperand(0), known);
    if (layout.kind == Kind::Matrix)
      layout.mAxis = 1 - layout.mAxis;
  } else {
    for (Value operand : maker->getOperands())
      layout = joined(layout, held(operand, known), full);
  }
  known[tile] = layout;
  return layout;
}

/// The tile; a row or column that is a matrix for products' sake has its one number for all of the
/// other axis.
FailureOr<Value> Placement::collapsed(Value tile, Operation *user) {
  bool isSingle = typeOf(tile).getDimSize(0) == 1 || typeOf(tile).getDimSize(1) == 1;
  if (!isSingle || block::layoutOf(tile).kind != Kind::Matrix)
    return tile;
  FragmentLayout layout = held(tile);
  if (layout.kind != Kind::Matrix)
    return tile;
  if (!typeOf(tile).getElementType().isF32())
    return user->emitOpError("needs a row or column of a product, of another type than f32, as a "
                             "row or column, for which there is no conversion between registers");
  SmallVector<Value> exchanged;
  auto reduceTo = [&](Kind kind, bool overM) {
    layout.kind = kind;
    if (severalWarps(overM))
      exchanged.push_back(exchange(layout.count(), overM));
  };
  bool oneN = layout.nExtent == 1, oneM = layout.mExtent == 1;
  if (oneN)
    reduceTo(Kind::AlongM, /*overM=*/false);
  if (oneM)
    reduceTo(oneN ? Kind::Single : Kind::AlongN, /*overM=*/true);
  auto made = block::CollapseOp::create(builder, loc, tile.getType(), tile, exchanged);
  block::setLayouts(made, layout);
  return made.getResult();
}

LogicalResult Placement::placeReduce(tile::ReduceOp op) {
  FailureOr<Value> operand = collapsed(op.getOperand(), op);
  if (failed(operand))
    return failure();
  op.getOperandMutable().assign(*operand);
  FragmentLayout from = reducedFrom(op.getOperand(), held(op.getOperand()));
  FragmentLayout to = block::layoutOf(op.getResult());
  if (to.kind == Kind::Matrix)
    to = layouts.ofSingle(op.getResult());
  if (from.kind == Kind::Single || to.kind == from.kind)
    return success(); // along an axis of one element
  bool overM = isOverM(from, op.getAxis());
  if (from.kind == Kind::Matrix && to.kind != (overM ? Kind::AlongN : Kind::AlongM))
    return op.emitOpError("needs its result the other way round, for which there is no conversion "
                          "between registers");
  if (!severalWarps(overM))
    return success();
  bool areBits = conditionsReduced(op.getKind(), op.getOperand()) && from.kind == Kind::Matrix;
  Value through = exchange(areBits ? llvm::divideCeil(to.count(), 32) : to.count(), overM);
  auto made = block::ReduceOp::create(builder, loc, op.getType(), op.getKind(), op.getOperand(),
                                      op.getAxis(), through);
  block::setLayouts(made, block::layoutOf(op.getResult()));
  replace(op, made.getResult());
  return success();
}
