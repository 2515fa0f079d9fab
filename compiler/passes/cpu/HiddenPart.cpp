#include "compiler/passes/cpu/HiddenPart.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Matchers.h"

#include <array>

using namespace mlir;
using namespace ringc;
using namespace ringc::cpu;

static std::array<int64_t, 2> shapeOf(tile::VisibilityOp visibility) {
  return {static_cast<int64_t>(visibility.getQueries()),
          static_cast<int64_t>(visibility.getKeys())};
}

/// The question on whose answer the block runs.
static tile::VisibilityOp visibilityOf(Block *block) {
  auto choice = dyn_cast<scf::IndexSwitchOp>(block->getParentOp());
  auto index = choice ? choice.getArg().getDefiningOp<arith::IndexCastUIOp>() : nullptr;
  return index ? index.getIn().getDefiningOp<tile::VisibilityOp>() : nullptr;
}

/// Whether `seen` is the mask of the very window that the visibility is of.
static bool isMaskOf(Value seen, tile::VisibilityOp visibility) {
  auto mask = seen.getDefiningOp<tile::ApplyOp>();
  if (!mask || mask.getOperand() || !visibility)
    return false;
  return (mask.getFunction() + ".visibility").str() == visibility.getFunction() &&
         cast<RankedTensorType>(seen.getType()).getShape() == ArrayRef(shapeOf(visibility)) &&
         mask.getQueryRow() == visibility.getQueryRow() &&
         mask.getKeyRow() == visibility.getKeyRow() &&
         mask.getQueryPositions() == visibility.getQueryPositions() &&
         mask.getKeyPositions() == visibility.getKeyPositions() &&
         mask.getParameters() == visibility.getParameters();
}

/// Whether every use of the tile ends where `seen` selects; elementwise operations pass it on.
static bool isSeenAlone(Value tile, tile::VisibilityOp visibility) {
  return llvm::all_of(tile.getUses(), [&](OpOperand &use) {
    Operation *user = use.getOwner();
    if (auto select = dyn_cast<arith::SelectOp>(user); select && select.getTrueValue() == tile &&
                                                       select.getFalseValue() != tile &&
                                                       isMaskOf(select.getCondition(), visibility))
      return true;
    auto apply = dyn_cast<tile::ApplyOp>(user);
    bool elementwise = (apply && apply.getOperand() == tile) ||
                       (user->hasTrait<OpTrait::Elementwise>() && user->getNumResults() == 1 &&
                        cast<RankedTensorType>(user->getResult(0).getType()).getShape() ==
                            cast<RankedTensorType>(tile.getType()).getShape());
    return elementwise && isSeenAlone(user->getResult(0), visibility);
  });
}

/// In one of the two patterns of HiddenPart's comment.
static bool isZeroWhereHidden(Value tile, tile::VisibilityOp visibility) {
  auto hiddenIs = [&](Value value, auto &&expected) {
    auto select = value.getDefiningOp<arith::SelectOp>();
    DenseElementsAttr constant;
    return select && isMaskOf(select.getCondition(), visibility) &&
           matchPattern(select.getFalseValue(), m_Constant(&constant)) && constant.isSplat() &&
           expected(constant.getSplatValue<APFloat>());
  };
  if (hiddenIs(tile, [](const APFloat &value) { return value.isZero(); }))
    return true;
  auto power = tile.getDefiningOp<math::Exp2Op>();
  auto shifted = power ? power.getOperand().getDefiningOp<arith::SubFOp>() : nullptr;
  return shifted && hiddenIs(shifted.getLhs(), [](const APFloat &value) {
           return value.isInfinity() && value.isNegative();
         });
}

std::optional<HiddenPart> ringc::cpu::hiddenPartOf(tile::DotOp dot) {
  tile::VisibilityOp visibility = visibilityOf(dot->getBlock());
  if (!visibility)
    return std::nullopt;
  if (!dot.getAcc() &&
      cast<RankedTensorType>(dot.getType()).getShape() == ArrayRef(shapeOf(visibility)) &&
      isSeenAlone(dot.getResult(), visibility))
    return HiddenPart{HiddenPart::Where::Result, visibility};
  for (int resultAxis : {0, 1}) {
    Value tile = resultAxis == 0 ? dot.getA() : dot.getB();
    bool crossed = false;
    while (Operation *maker = tile.getDefiningOp()) {
      crossed ^= isa<tile::TransposeOp>(maker);
      if (!isa<tile::TransposeOp, arith::TruncFOp, arith::ExtFOp>(maker))
        break;
      tile = maker->getOperand(0);
    }
    if (isZeroWhereHidden(tile, visibility))
      return HiddenPart{HiddenPart::Where::Contracted, visibility, resultAxis, crossed};
  }
  return std::nullopt;
}
