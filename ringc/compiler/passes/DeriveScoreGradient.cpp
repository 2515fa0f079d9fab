// derive-score-gradient: a derivative of a score becomes the application of a function of its own.
//
// before
//     %d = tile.apply derivative @score(%s : ...) at ... with (%c : f32) : ...
// after
//     func.func private @score.derivative(%s: f32, ..., %c: f32) -> f32        // d score / d s,
//     see ForwardMode.h %d = tile.apply @score.derivative(%s : ...) at ... with (%c : f32) : ...
//
// A score with the attribute `tile.derivative = @f` has @f for its derivative. Runs before
// specialise, which would inline the calls of scores with a derivative of their own. Afterwards no
// `derivative` is left.

#include "ringc/compiler/passes/ForwardMode.h"
#include "ringc/compiler/passes/Passes.h"
#include "ringc/compiler/passes/ScalarFunction.h"

using namespace mlir;

namespace ringc {

#define GEN_PASS_DEF_DERIVESCOREGRADIENT
#include "ringc/compiler/passes/Passes.h.inc"

namespace {

FailureOr<func::FuncOp> derive(func::FuncOp score, StringRef name) {
  if (!isScalarFunction(score) || !score.getResultTypes()[0].isF32() ||
      !score.getArgumentTypes()[0].isF32())
    return score.emitError("is not a function of one f32 s, with an f32 result");
  OpBuilder builder(score->getContext());
  builder.setInsertionPointAfter(score);
  auto function = func::FuncOp::create(builder, score.getLoc(), name, score.getFunctionType());
  function.setPrivate();
  builder.setInsertionPointToStart(function.addEntryBlock());

  auto constant = [&](float value) -> Value {
    return arith::ConstantOp::create(builder, score.getLoc(), builder.getF32FloatAttr(value));
  };
  SmallVector<Dual> arguments;
  for (BlockArgument argument : function.getArguments())
    arguments.push_back({argument, {}});
  arguments[0].slope = constant(1);
  FailureOr<Dual> result = ForwardMode(builder).run(score, arguments);
  if (failed(result)) {
    function.erase();
    return failure();
  }
  func::ReturnOp::create(builder, score.getLoc(), result->slope ? result->slope : constant(0));
  eraseUnused(function);
  return function;
}

class DeriveScoreGradient : public impl::DeriveScoreGradientBase<DeriveScoreGradient> {
  void runOnOperation() override {
    auto result = getOperation().walk([&](tile::ApplyOp apply) {
      return apply.getDerivative() && failed(replace(apply)) ? WalkResult::interrupt()
                                                             : WalkResult::advance();
    });
    if (result.wasInterrupted())
      signalPassFailure();
  }

  LogicalResult replace(tile::ApplyOp apply) {
    auto score = getOperation().lookupSymbol<func::FuncOp>(apply.getFunction());
    if (!apply.getOperand())
      return apply.emitOpError("has no s to differentiate by");
    FailureOr<func::FuncOp> derivative = derivativeOf(score);
    if (failed(derivative)) {
      emitRemark(apply.getLoc(), "the derivative is asked for here");
      return failure();
    }
    apply.setFunction(derivative->getName());
    apply.setDerivative(false);
    return success();
  }

  FailureOr<func::FuncOp> derivativeOf(func::FuncOp score) {
    if (score->hasAttr(derivativeAttr))
      return givenDerivative(score);
    std::string name = (score.getName() + ".derivative").str();
    if (auto existing = getOperation().lookupSymbol<func::FuncOp>(name))
      return existing;
    return derive(score, name);
  }
};

} // namespace

} // namespace ringc
