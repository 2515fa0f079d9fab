#include "ringc/compiler/passes/cpu/HiddenPart.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/SetVector.h"

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
static bool isSeenAlone(Value whole, tile::VisibilityOp visibility) {
  llvm::SetVector<Value> tiles; // a score reads its lets often: each is looked at once
  tiles.insert(whole);
  for (size_t at = 0; at < tiles.size(); ++at) {
    Value tile = tiles[at];
    for (Operation *user : tile.getUsers()) {
      if (auto select = dyn_cast<arith::SelectOp>(user);
          select && select.getTrueValue() == tile && select.getFalseValue() != tile &&
          isMaskOf(select.getCondition(), visibility))
        continue;
      auto apply = dyn_cast<tile::ApplyOp>(user);
      bool elementwise = (apply && apply.getOperand() == tile) ||
                         (user->hasTrait<OpTrait::Elementwise>() && user->getNumResults() == 1 &&
                          cast<RankedTensorType>(user->getResult(0).getType()).getShape() ==
                              cast<RankedTensorType>(tile.getType()).getShape());
      if (!elementwise)
        return false;
      tiles.insert(user->getResult(0));
    }
  }
  return true;
}

/// Whether the tile of floats is selected by `seen`, and a constant like this where hidden.
static bool isSelected(Value tile, tile::VisibilityOp visibility,
                       llvm::function_ref<bool(const APFloat &)> isExpected) {
  auto select = tile.getDefiningOp<arith::SelectOp>();
  DenseElementsAttr constant;
  return select && isMaskOf(select.getCondition(), visibility) &&
         matchPattern(select.getFalseValue(), m_Constant(&constant)) && constant.isSplat() &&
         isExpected(constant.getSplatValue<APFloat>());
}

static bool isZero(const APFloat &value) { return value.isZero(); }
static bool isLowest(const APFloat &value) { return value.isInfinity() && value.isNegative(); }

/// -inf where hidden: selected so, then shifted by a finite number, scaled by a positive one.
static bool isLowestWhereHidden(Value tile, tile::VisibilityOp visibility) {
  if (isSelected(tile, visibility, isLowest))
    return true;
  if (auto shifted = tile.getDefiningOp<arith::SubFOp>())
    return isLowestWhereHidden(shifted.getLhs(), visibility);
  auto scaled = tile.getDefiningOp<math::FmaOp>();
  DenseFPElementsAttr factor;
  return scaled && matchPattern(scaled.getB(), m_Constant(&factor)) && factor.isSplat() &&
         !factor.getSplatValue<APFloat>().isNegative() &&
         !factor.getSplatValue<APFloat>().isZero() &&
         isLowestWhereHidden(scaled.getA(), visibility);
}

/// In one of the two patterns of HiddenPart's comment.
static bool isZeroWhereHidden(Value tile, tile::VisibilityOp visibility) {
  if (isSelected(tile, visibility, isZero))
    return true;
  auto power = tile.getDefiningOp<math::Exp2Op>();
  return power && !isSelected(power.getOperand(), visibility, isLowest) &&
         isLowestWhereHidden(power.getOperand(), visibility);
}

static Value unconverted(Value tile) {
  while (Operation *maker = tile.getDefiningOp()) {
    if (!isa<arith::TruncFOp, arith::ExtFOp>(maker))
      break;
    tile = maker->getOperand(0);
  }
  return tile;
}

static bool isIdentityWhereHidden(tile::ReduceOp reduce, tile::VisibilityOp visibility) {
  Value tile = unconverted(reduce.getOperand());
  return reduce.getKind() == tile::ReduceKind::Max ? isSelected(tile, visibility, isLowest)
                                                   : isZeroWhereHidden(tile, visibility);
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

/// Whether a factor is read by just those lanes and rows that a nest of the same lanes computes.
static bool leavesOutTheSame(OpOperand &factor, int seenAxis, const LaneAnalysis &lanes) {
  auto dot = cast<tile::DotOp>(factor.getOwner());
  int lanesAxis = lanes.laneAxis(dot.getResult());
  std::optional<HiddenPart> hidden = hiddenPartOf(dot);
  return hidden && hidden->where == HiddenPart::Where::Contracted &&
         hidden->operand == static_cast<int>(factor.getOperandNumber()) &&
         hidden->changesAlong(lanesAxis) && hidden->seenAxis(lanesAxis) == seenAxis;
}

static bool isElementwise(Operation &op) {
  return op.getNumResults() == 1 && tile::isTile(op.getResult(0).getType()) &&
         (op.hasTrait<OpTrait::Elementwise>() || isa<tile::ApplyOp, tile::BroadcastOp>(op));
}

llvm::DenseMap<Operation *, HiddenPart> ringc::cpu::hiddenRowsOf(Block &block,
                                                                 const LaneAnalysis &lanes) {
  llvm::DenseMap<Operation *, HiddenPart> parts;
  tile::VisibilityOp visibility = visibilityOf(&block);
  if (!visibility)
    return parts;
  auto isOfMask = [&](Value tile) {
    return cast<RankedTensorType>(tile.getType()).getShape() == ArrayRef(shapeOf(visibility));
  };
  for (Operation &op : block) {
    auto reduce = dyn_cast<tile::ReduceOp>(op);
    Value tile = reduce ? reduce.getOperand() : isElementwise(op) ? op.getResult(0) : Value();
    if (tile && isOfMask(tile) &&
        (!reduce || (static_cast<int>(reduce.getAxis()) != lanes.laneAxis(tile) &&
                     isIdentityWhereHidden(reduce, visibility))))
      parts.try_emplace(&op, HiddenPart{HiddenPart::Where::Result, visibility});
  }

  auto isUnknownTo = [&](OpOperand &use, int seenAxis, bool &readAsZero, auto &&self) -> bool {
    Operation *user = use.getOwner();
    if (auto transpose = dyn_cast<tile::TransposeOp>(user))
      return llvm::all_of(transpose.getResult().getUses(), [&](OpOperand &next) {
        return isa<tile::DotOp, tile::TransposeOp>(next.getOwner()) &&
               self(next, seenAxis, readAsZero, self);
      });
    if (!isa<tile::DotOp>(user))
      return parts.contains(user);
    readAsZero |= !leavesOutTheSame(use, seenAxis, lanes);
    return user->getBlock() == &block && use.getOperandNumber() < 2;
  };
  auto mayLeaveOut = [&](Operation &op, HiddenPart &part) {
    // What is computed with all rows for others is not computed a second time with fewer.
    if (llvm::any_of(op.getOperands(), [&](Value operand) {
          Operation *maker = operand.getDefiningOp();
          return maker && maker->getBlock() == &block && isElementwise(*maker) &&
                 !isa<tile::BroadcastOp>(maker) && isOfMask(operand) && !parts.contains(maker);
        }))
      return false;
    if (isa<tile::ReduceOp>(op))
      return true;
    Value tile = op.getResult(0);
    return llvm::all_of(tile.getUses(),
                        [&](OpOperand &use) {
                          return isUnknownTo(use, lanes.laneAxis(tile), part.readAsZero,
                                             isUnknownTo);
                        }) &&
           (!part.readAsZero || isSelected(unconverted(tile), visibility, isZero));
  };
  for (bool changed = true; changed;) {
    changed = false;
    for (Operation &op : llvm::reverse(block))
      if (auto part = parts.find(&op); part != parts.end() && !mayLeaveOut(op, part->second)) {
        parts.erase(part);
        changed = true;
      }
  }
  return parts;
}
