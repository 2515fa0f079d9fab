#include "ringc/compiler/passes/gpu/Lowering.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace ringc;
using namespace ringc::gpu;
using Kind = FragmentLayout::Kind;

/// Whether a product reads the tile, or its transpose, where mma.sync wants n; or where it wants m,
/// and a warp does not have whole rows.
bool Lowering::isReadFromShared(Value tile) const {
  SmallVector<Value> names{tile};
  for (size_t i = 0; i < names.size(); ++i)
    for (OpOperand &use : names[i].getUses()) {
      if (auto transpose = dyn_cast<tile::TransposeOp>(use.getOwner()))
        names.push_back(transpose.getResult());
      else if (auto dot = dyn_cast<tile::DotOp>(use.getOwner()); dot && use.getOperandNumber() < 2)
        if (grid.n > 1 ||
            use.getOperandNumber() == (layoutOf(dot.getResult()).mAxis == 0 ? 1U : 0U))
          return true;
    }
  return false;
}

/// Writes a computed tile to shared memory for products that read it, a row for each m. Rows are an
/// odd number of chunks apart, so that the eight of a warp lie in different banks.
LogicalResult Lowering::share(Value tile, Operation *maker) {
  FailureOr<Fragment> given = whole(tile, maker);
  if (failed(given))
    return failure();
  FragmentLayout layout = layoutOf(tile);
  SharedTile place;
  place.rows = layout.mExtent;
  place.columns = layout.nExtent;
  std::array<int64_t, 2> read = extentsRead(tile);
  place.paddedRows = read[layout.mAxis == 0 ? 0 : 1];
  place.paddedColumns = std::max(read[layout.mAxis == 0 ? 1 : 0], reachN(layout));
  place.elementBytes = bytesInMemory(cast<RankedTensorType>(tile.getType()).getElementType());
  place.rowAxis = layout.mAxis;
  allocateShared(place.bytes(), place.offset);
  writeShared(expanded(*given, layout), place);
  shared[tile] = place;
  unseen.push_back(tile);
  return success();
}

/// From registers to shared memory. Elements of a thread that are neighbours along n go together.
/// What the fragments reach beyond the tile is written as zero, which products may then sum over.
void Lowering::writeShared(const Fragment &fragment, const SharedTile &place) {
  const FragmentLayout &layout = fragment.layout;
  Type element = fragment.elements.front().getType();
  if (!settled)
    barrier(); // what was here before has been read
  auto below = [&](Value index, int64_t extent) -> Value {
    return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, index, i32(extent));
  };
  auto kept = [&](Value value, int64_t m, int64_t n) {
    if (grid.mMayExceed(m, layout.mExtent))
      value = arith::SelectOp::create(builder, loc, below(mAt(m), layout.mExtent), value,
                                      zeroOf(element));
    if (grid.nMayExceed(n, layout.nExtent))
      value = arith::SelectOp::create(builder, loc, below(nAt(n), layout.nExtent), value,
                                      zeroOf(element));
    return value;
  };
  for (int64_t e = 0; e < layout.count(); e += 2) {
    int64_t m = layout.mOf(e), n = layout.nOf(e);
    Value low = kept(fragment.elements[static_cast<size_t>(e)], m, n),
          high = kept(fragment.elements[static_cast<size_t>(e) + 1], m, n + 1);
    OpBuilder::InsertionGuard guard(builder);
    if (grid.mMayExceed(m, place.paddedRows)) { // some warps are behind the tile
      auto branch = scf::IfOp::create(builder, loc, below(mAt(m), place.paddedRows),
                                      /*withElseRegion=*/false);
      builder.setInsertionPointToStart(branch.thenBlock());
    }
    Value both;
    if (element.isF32()) {
      both = LLVM::UndefOp::create(builder, loc, VectorType::get({2}, element));
      both = LLVM::InsertElementOp::create(builder, loc, both, low, i32(0));
      both = LLVM::InsertElementOp::create(builder, loc, both, high, i32(1));
    } else {
      both = pack(low, high);
    }
    Value to =
        placeIn(place, {mBase, grid.mFurther(m)}, {nBase, grid.nFurther(n), bitsOf(6, grid.n)});
    LLVM::StoreOp::create(builder, loc, both, to, static_cast<unsigned>(2 * place.elementBytes));
  }
}
