// max-before-scale: the largest of scaled scores is the largest score, scaled.
//
// before
//     %t = arith.mulf %s, splat(%c)
//     %u = scf.if %part { arith.select %seen, %t, -inf } else { %t }      (or %t itself)
//     %top = tile.reduce max %u axis 1
// after
//     %touch = %part or not (%c > 0)
//     %v = scf.if %touch {
//       %x = arith.mulf %s, splat(arith.select (%c > 0), 1.0, %c)
//       arith.select %seen, %x, -inf
//     } else { %s }
//     %c1 = arith.select (%c > 0), %c, 1.0
//     %top = arith.mulf (tile.reduce max %v axis 1), splat(%c1)
//     %u = arith.mulf %v, splat(%c1)
//
// A factor that is a positive constant is taken as it is, without a question. Rounding keeps order,
// so that the maximum is the same number; and what remains of the product moves into a multiply-add
// (take-shortcuts).
//
// After split-loops with bodies=one.

#include "ringc/compiler/passes/Passes.h"
#include "ringc/compiler/passes/gpu/TilePasses.h"

#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace ringc {

namespace {

bool isNegativeInfinity(Value tile) {
  DenseFPElementsAttr constant;
  if (!matchPattern(tile, m_Constant(&constant)) || !constant.isSplat())
    return false;
  APFloat value = constant.getSplatValue<APFloat>();
  return value.isInfinity() && value.isNegative();
}

bool isPositive(Value factor) {
  FloatAttr constant;
  return matchPattern(factor, m_Constant(&constant)) && constant.getValueAsDouble() > 0;
}

/// The product of scores and one number for all of them; null where it is not.
arith::MulFOp scaledScores(Value tile) {
  auto product = tile.getDefiningOp<arith::MulFOp>();
  return product && product.getRhs().getDefiningOp<tile::SplatOp>() ? product : arith::MulFOp();
}

/// What a branch selects with the mask from the tile that it yields otherwise; null for any other.
arith::SelectOp selectionIn(scf::IfOp branch) {
  if (!branch || branch.getNumResults() != 1 || branch.getElseRegion().empty())
    return {};
  auto select = branch.thenYield().getOperand(0).getDefiningOp<arith::SelectOp>();
  bool same = select && select.getTrueValue() == branch.elseYield().getOperand(0);
  return same && isNegativeInfinity(select.getFalseValue()) ? select : arith::SelectOp();
}

class Rewrite {
public:
  explicit Rewrite(tile::ReduceOp maximum) : reduce(maximum), builder(maximum) {}

  void run() {
    auto branch = reduce.getOperand().getDefiningOp<scf::IfOp>();
    arith::SelectOp select = selectionIn(branch);
    arith::MulFOp product = scaledScores(select ? select.getTrueValue() : reduce.getOperand());
    if (!product)
      return;
    Value scores = product.getLhs(), scaled = reduce.getOperand();
    Value factor = product.getRhs().getDefiningOp<tile::SplatOp>().getValue();
    Value positive; // null: known
    builder.setInsertionPoint(select ? branch.getOperation() : product.getOperation());
    if (!isPositive(factor)) {
      positive =
          arith::CmpFOp::create(builder, loc(), arith::CmpFPredicate::OGT, factor, number(0));
      touched = arith::XOrIOp::create(builder, loc(), positive, yes());
      newFactor = arith::SelectOp::create(builder, loc(), positive, factor, number(1));
    } else {
      newFactor = factor;
    }
    Value raw;
    if (select) {
      branch.elseYield().setOperand(0, scores);
      if (positive)
        branch.getConditionMutable().assign(
            arith::OrIOp::create(builder, loc(), branch.getCondition(), touched));
      builder.setInsertionPoint(select);
      select.getTrueValueMutable().assign(positive ? times(scores, oneOr(positive, factor))
                                                   : scores);
      raw = branch.getResult(0);
      builder.setInsertionPointAfter(branch);
    } else {
      raw = positive ? timesIf(touched, scores, factor) : scores;
      builder.setInsertionPointAfter(product);
    }
    Value again = times(raw, newFactor);
    scaled.replaceUsesWithIf(again, [&](OpOperand &use) {
      Operation *user = use.getOwner();
      return user != again.getDefiningOp() && user != reduce &&
             !(branch && branch->isProperAncestor(user));
    });
    reduce.getOperandMutable().assign(raw);
    builder.setInsertionPointAfter(reduce);
    Value top = times(reduce.getResult(), newFactor);
    reduce.getResult().replaceAllUsesExcept(top, top.getDefiningOp());
    if (product->use_empty())
      product->erase();
  }

private:
  Location loc() { return reduce.getLoc(); }
  Value number(float value) {
    return arith::ConstantOp::create(builder, loc(), builder.getF32FloatAttr(value));
  }
  Value yes() { return arith::ConstantIntOp::create(builder, loc(), 1, 1); }
  Value times(Value tile, Value by) {
    Value splat = tile::SplatOp::create(builder, loc(), tile.getType(), by);
    return arith::MulFOp::create(builder, loc(), tile, splat);
  }
  Value oneOr(Value condition, Value factor) {
    return arith::SelectOp::create(builder, loc(), condition, number(1), factor);
  }
  Value timesIf(Value condition, Value tile, Value by) {
    auto branch = scf::IfOp::create(builder, loc(), TypeRange{tile.getType()}, condition, true);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(branch.thenBlock());
    scf::YieldOp::create(builder, loc(), times(tile, by));
    builder.setInsertionPointToStart(branch.elseBlock());
    scf::YieldOp::create(builder, loc(), tile);
    return branch.getResult(0);
  }

  tile::ReduceOp reduce;
  OpBuilder builder;
  Value touched, newFactor;
};

struct MaxBeforeScale : PassWrapper<MaxBeforeScale, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(MaxBeforeScale)

  StringRef getArgument() const override { return "max-before-scale"; }
  StringRef getDescription() const override {
    return "Scales the largest score in place of the largest of scaled scores";
  }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<arith::ArithDialect, scf::SCFDialect>();
  }

  void runOnOperation() override {
    SmallVector<tile::ReduceOp> maxima;
    getOperation().walk([&](tile::ReduceOp reduce) {
      if (reduce.getKind() == tile::ReduceKind::Max)
        maxima.push_back(reduce);
    });
    for (tile::ReduceOp reduce : maxima)
      Rewrite(reduce).run();
  }
};

} // namespace

std::unique_ptr<Pass> createMaxBeforeScalePass() { return std::make_unique<MaxBeforeScale>(); }

} // namespace ringc
