#include "ringc/compiler/passes/PositionlessScore.h"

#include "ringc/compiler/dialect/Tile.h"
#include "ringc/compiler/passes/ScalarFunction.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;

namespace ringc {

namespace {

/// A score takes s, b, h, i, j, queryRow and keyRow before its own parameters.
constexpr unsigned scoreParametersBegin = 7;

bool isPositionless(func::FuncOp score) {
  if (!isScalarFunction(score))
    return false;
  for (BlockArgument argument : score.getArguments().slice(1, scoreParametersBegin - 1))
    if (!argument.use_empty())
      return false;
  return llvm::all_of(score.getBody().front().without_terminator(), [](Operation &op) {
    return op.hasTrait<OpTrait::ConstantLike>() || OpTrait::hasElementwiseMappableTraits(&op);
  });
}

/// Writes a scalar body on tiles: what depends on s becomes a tile, the rest stays scalar.
class TileBody {
public:
  TileBody(PatternRewriter &patternRewriter, tile::ApplyOp op)
      : rewriter(patternRewriter), apply(op) {}

  Value write(func::FuncOp score) {
    mapping.map(score.getArgument(0), apply.getOperand());
    for (auto [argument, parameter] :
         llvm::zip(score.getArguments().drop_front(scoreParametersBegin), apply.getParameters()))
      mapping.map(argument, parameter);
    Block &body = score.getBody().front();
    for (Operation &op : body.without_terminator())
      write(op);
    return asTile(mapping.lookup(body.getTerminator()->getOperand(0)));
  }

private:
  void write(Operation &op) {
    auto isOnTiles = [&](Value operand) { return tile::isTile(mapping.lookup(operand).getType()); };
    if (llvm::none_of(op.getOperands(), isOnTiles)) {
      rewriter.clone(op, mapping);
      return;
    }
    SmallVector<Value> operands;
    for (Value operand : op.getOperands())
      operands.push_back(asTile(mapping.lookup(operand)));
    Type type = tileOf(op.getResult(0).getType());
    Operation *onTiles =
        rewriter.create(op.getLoc(), op.getName().getIdentifier(), operands, type, op.getAttrs());
    // As where it stands: in a score a product and a sum may be rounded once.
    if (isa<arith::AddFOp, arith::SubFOp, arith::MulFOp>(onTiles))
      onTiles->setAttr("fastmath", arith::FastMathFlagsAttr::get(rewriter.getContext(),
                                                                 arith::FastMathFlags::contract));
    mapping.map(op.getResult(0), onTiles->getResult(0));
  }

  Type tileOf(Type element) { return cast<RankedTensorType>(apply.getType()).clone(element); }

  Value asTile(Value value) {
    if (tile::isTile(value.getType()))
      return value;
    return tile::SplatOp::create(rewriter, apply.getLoc(), tileOf(value.getType()), value);
  }

  PatternRewriter &rewriter;
  tile::ApplyOp apply;
  IRMapping mapping;
};

struct ApplyPositionlessScore : OpRewritePattern<tile::ApplyOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(tile::ApplyOp apply, PatternRewriter &rewriter) const override {
    if (!apply.getOperand() || apply.getDerivative())
      return failure();
    auto score = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(apply, apply.getFunctionAttr());
    if (!score || !isPositionless(score) ||
        apply.getOperand().getType() != apply.getType().clone(score.getArgumentTypes()[0]) ||
        apply.getType().getElementType() != score.getResultTypes()[0])
      return failure();
    rewriter.replaceOp(apply, TileBody(rewriter, apply).write(score));
    return success();
  }
};

} // namespace

void addPositionlessScore(RewritePatternSet &patterns) {
  patterns.add<ApplyPositionlessScore>(patterns.getContext());
}

} // namespace ringc
