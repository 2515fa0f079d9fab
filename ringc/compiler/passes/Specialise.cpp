// specialise: what this kernel's mask, score and constants make of the general text.
//
// before                                                      after
//     func.call @slope(%h) in a score                             the body of @slope
//     (%x * splat %scale) * splat 1.44                            %x * splat (%scale * 1.44),
//     likewise / splat %c arith.addf %acc, (tile.dot %a, %b)                          tile.dot %a,
//     %b acc(%acc) tile.apply @identity(%s) at ...                             %s tile.apply
//     @one(%s) at ..., a constant                      dense<1.0> tile.apply @softcap(%s) at ...,
//     which reads no position     %c * tanh(%s / %c) on tiles
//
// and every fold and canonical form of arith, math and scf. A mask is not replaced by its value:
// outside the views it is false.

#include "ringc/compiler/passes/Passes.h"
#include "ringc/compiler/passes/PositionlessScore.h"
#include "ringc/compiler/passes/ScalarFunction.h"
#include "ringc/compiler/passes/TileFolds.h"

#include "mlir/IR/Dominance.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/CSE.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;

namespace ringc {

#define GEN_PASS_DEF_SPECIALISE
#include "ringc/compiler/passes/Passes.h.inc"

namespace {

/// Whether every element of the tile is one value that `uniformValue` can make.
bool isUniform(Value tile) {
  DenseElementsAttr constant;
  return tile.getDefiningOp<tile::SplatOp>() ||
         (tile::isTile(tile.getType()) && matchPattern(tile, m_Constant(&constant)) &&
          constant.isSplat());
}

Value uniformValue(Value tile, OpBuilder &builder) {
  if (auto splat = tile.getDefiningOp<tile::SplatOp>())
    return splat.getValue();
  DenseElementsAttr constant;
  matchPattern(tile, m_Constant(&constant));
  return arith::ConstantOp::create(builder, tile.getLoc(), constant.getSplatValue<TypedAttr>());
}

/// (x * a) * c -> x * (a * c), (x * a) / c -> x * (a / c), and a * c -> splat(a * c), for tiles a
/// and c of one value.
template <class OuterOp> struct CombineFactors : OpRewritePattern<OuterOp> {
  using OpRewritePattern<OuterOp>::OpRewritePattern;
  LogicalResult matchAndRewrite(OuterOp outer, PatternRewriter &rewriter) const override {
    auto [rest, factor] = split(outer);
    if (!factor)
      return failure();
    if (isUniform(rest)) {
      rewriter.replaceOp(outer, combine(rest, factor, outer, rewriter));
      return success();
    }
    auto inner = rest.template getDefiningOp<arith::MulFOp>();
    if (!inner || !inner->hasOneUse())
      return failure();
    auto [value, innerFactor] = split(inner);
    if (!innerFactor)
      return failure();
    Value both = combine(innerFactor, factor, outer, rewriter);
    rewriter.replaceOpWithNewOp<arith::MulFOp>(outer, value, both);
    return success();
  }

private:
  /// The operand that is not uniform (any, where both are) and the one that is, or null.
  static std::pair<Value, Value> split(Operation *op) {
    if (isUniform(op->getOperand(1)))
      return {op->getOperand(0), op->getOperand(1)};
    if (isa<arith::MulFOp>(op) && isUniform(op->getOperand(0)))
      return {op->getOperand(1), op->getOperand(0)};
    return {};
  }
  static Value combine(Value a, Value c, OuterOp outer, PatternRewriter &rewriter) {
    Value scalar = rewriter.createOrFold<OuterOp>(outer.getLoc(), uniformValue(a, rewriter),
                                                  uniformValue(c, rewriter));
    return tile::SplatOp::create(rewriter, outer.getLoc(), outer.getType(), scalar);
  }
};

/// fma(x * a, c, d) -> fma(x, a * c, d), for tiles a and c of one value.
struct CombineFactorsInFma : OpRewritePattern<math::FmaOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(math::FmaOp fma, PatternRewriter &rewriter) const override {
    auto product = fma.getA().getDefiningOp<arith::MulFOp>();
    if (!product || !isUniform(product.getRhs()) || !isUniform(fma.getB()))
      return failure();
    Value scalar = rewriter.createOrFold<arith::MulFOp>(
        fma.getLoc(), uniformValue(product.getRhs(), rewriter), uniformValue(fma.getB(), rewriter));
    Value both = tile::SplatOp::create(rewriter, fma.getLoc(), fma.getType(), scalar);
    rewriter.replaceOpWithNewOp<math::FmaOp>(fma, product.getLhs(), both, fma.getC());
    return success();
  }
};

/// acc + dot(a, b) -> dot(a, b) acc(acc)
struct AccumulateInDot : OpRewritePattern<arith::AddFOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(arith::AddFOp add, PatternRewriter &rewriter) const override {
    for (auto [side, other] :
         {std::pair(add.getRhs(), add.getLhs()), std::pair(add.getLhs(), add.getRhs())}) {
      auto dot = side.getDefiningOp<tile::DotOp>();
      if (!dot || dot.getAcc() || !dot->hasOneUse())
        continue;
      rewriter.replaceOpWithNewOp<tile::DotOp>(add, add.getType(), dot.getA(), dot.getB(), other);
      return success();
    }
    return failure();
  }
};

class Specialise : public impl::SpecialiseBase<Specialise> {
  LogicalResult initialize(MLIRContext *context) override {
    RewritePatternSet forms(context);
    addCanonicalForms(forms);
    canonicalForms = std::move(forms);
    RewritePatternSet scores(context);
    addPositionlessScore(scores);
    positionlessScores = std::move(scores);
    RewritePatternSet factors(context);
    addCanonicalForms(factors);
    factors.add<CombineFactors<arith::MulFOp>, CombineFactors<arith::DivFOp>, CombineFactorsInFma,
                AccumulateInDot>(context);
    combinations = std::move(factors);
    return success();
  }

  void runOnOperation() override {
    ModuleOp module = getOperation();
    // Bodies first: what applies them depends on what they read. Then what a score and its
    // derivative share: a factor moves only where it has one user.
    if (failed(inlineScalarFunctions(module)) ||
        failed(applyPatternsGreedily(module, canonicalForms)) ||
        failed(applyPatternsGreedily(module, positionlessScores)))
      return signalPassFailure();
    IRRewriter rewriter(&getContext());
    DominanceInfo dominance;
    eliminateCommonSubExpressions(rewriter, dominance, module);
    if (failed(applyPatternsGreedily(module, combinations)))
      signalPassFailure();
  }

  static void addCanonicalForms(RewritePatternSet &patterns) {
    MLIRContext *context = patterns.getContext();
    addTileFolds(patterns);
    for (RegisteredOperationName op : context->getRegisteredOperations())
      if (isa<arith::ArithDialect, math::MathDialect, scf::SCFDialect>(op.getDialect()))
        op.getCanonicalizationPatterns(patterns, context);
  }

  FrozenRewritePatternSet canonicalForms, positionlessScores, combinations;
};

} // namespace

} // namespace ringc
