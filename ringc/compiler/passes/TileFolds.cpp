#include "ringc/compiler/passes/TileFolds.h"

#include "ringc/compiler/dialect/Tile.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace ringc {

namespace {

/// tile.splat of a constant -> a dense constant.
struct FoldSplatOfConstant : OpRewritePattern<tile::SplatOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(tile::SplatOp splat, PatternRewriter &rewriter) const override {
    Attribute value;
    if (!matchPattern(splat.getValue(), m_Constant(&value)))
      return failure();
    auto type = cast<RankedTensorType>(splat.getType());
    rewriter.replaceOpWithNewOp<arith::ConstantOp>(splat, DenseElementsAttr::get(type, value));
    return success();
  }
};

/// tile.broadcast or tile.transpose of a tile of one value -> that value in the other shape.
template <class OpTy> struct FoldOfSplat : OpRewritePattern<OpTy> {
  using OpRewritePattern<OpTy>::OpRewritePattern;
  LogicalResult matchAndRewrite(OpTy op, PatternRewriter &rewriter) const override {
    if (auto splat = op.getOperand().template getDefiningOp<tile::SplatOp>()) {
      rewriter.replaceOpWithNewOp<tile::SplatOp>(op, op.getType(), splat.getValue());
      return success();
    }
    DenseElementsAttr constant;
    if (!matchPattern(op.getOperand(), m_Constant(&constant)) || !constant.isSplat())
      return failure();
    auto type = cast<RankedTensorType>(op.getType());
    rewriter.replaceOpWithNewOp<arith::ConstantOp>(op, constant.resizeSplat(type));
    return success();
  }
};

struct FoldSameBroadcast : OpRewritePattern<tile::BroadcastOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(tile::BroadcastOp op, PatternRewriter &rewriter) const override {
    if (op.getOperand().getType() != op.getType())
      return failure();
    rewriter.replaceOp(op, op.getOperand());
    return success();
  }
};

struct FoldDoubleTranspose : OpRewritePattern<tile::TransposeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(tile::TransposeOp op, PatternRewriter &rewriter) const override {
    auto inner = op.getOperand().getDefiningOp<tile::TransposeOp>();
    if (!inner)
      return failure();
    rewriter.replaceOp(op, inner.getOperand());
    return success();
  }
};

} // namespace

void addTileFolds(RewritePatternSet &patterns) {
  patterns.add<FoldSplatOfConstant, FoldOfSplat<tile::BroadcastOp>, FoldOfSplat<tile::TransposeOp>,
               FoldSameBroadcast, FoldDoubleTranspose>(patterns.getContext());
}

} // namespace ringc
