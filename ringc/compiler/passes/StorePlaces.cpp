#include "ringc/compiler/passes/StorePlaces.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace ringc {

namespace {

/// Whether `offset` is the number of this program along an axis of the grid, times `size` or more.
bool movesBy(Value offset, uint32_t axis, int64_t size) {
  auto isProgram = [&](Value value) {
    auto id = value.getDefiningOp<tile::ProgramIdOp>();
    return id && id.getAxis() == axis;
  };
  if (isProgram(offset))
    return size <= 1;
  APInt constant;
  if (auto product = offset.getDefiningOp<arith::MulIOp>())
    for (auto [id, factor] :
         {std::pair(product.getLhs(), product.getRhs()), {product.getRhs(), product.getLhs()}})
      if (isProgram(id) && matchPattern(factor, m_ConstantInt(&constant)))
        return constant.getSExtValue() >= size;
  // r / step is the number again.
  if (auto quotient = offset.getDefiningOp<arith::FloorDivSIOp>())
    return size <= 1 && matchPattern(quotient.getRhs(), m_ConstantInt(&constant)) &&
           constant.getSExtValue() >= 1 &&
           movesBy(quotient.getLhs(), axis, constant.getSExtValue());
  return false;
}

} // namespace

StorePlaces storePlacesOf(tile::StoreOp store) {
  auto kernel = store->getParentOfType<func::FuncOp>();
  auto grid = kernel->getAttrOfType<ArrayAttr>(tile::TileDialect::gridAttr);
  auto tile = cast<RankedTensorType>(store.getTile().getType());
  auto slice = store.getView().getDefiningOp<tile::SliceOp>();
  tile::ViewType whole = slice ? slice.getView().getType() : store.getView().getType();

  auto isSeparateAlong = [&](uint32_t axis) {
    for (auto [at, offset] : llvm::enumerate(store.getOffsets()))
      if (!(at == 0 && store.getRows()) &&
          movesBy(offset, axis, tile.getDimSize(static_cast<unsigned>(at))))
        return true;
    return slice &&
           llvm::any_of(slice.getIndices(), [&](Value index) { return movesBy(index, axis, 1); });
  };
  auto hasAxis = [&](StringRef extent) {
    return llvm::is_contained(whole.getExtents().getAsValueRange<StringAttr>(), extent);
  };
  bool hasHeads = hasAxis("Nq") || hasAxis("Nk") || (hasAxis("B") && hasAxis("Hkv"));

  StorePlaces places;
  size_t axes = grid ? grid.size() : 1;
  places.sharedAlongP0 = !isSeparateAlong(0);
  places.sharedOtherwise = (axes > 1 && !isSeparateAlong(1)) ||
                           (kernel->hasAttr(tile::TileDialect::perHeadAttr) && !hasHeads);
  return places;
}

} // namespace ringc
