// Functions that a GPU has no instruction for, or one that is too coarse.

#include "ringc/compiler/passes/gpu/Elementwise.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace ringc;
using namespace ringc::gpu;

/// 1 / x within two units in the last place.
Value Elementwise::reciprocal(Value x) {
  Value one = arith::ConstantOp::create(builder, loc, builder.getF32FloatAttr(1));
  return intrinsic(builder.getF32Type(), "llvm.nvvm.div.full", {one, x});
}

/// tanh x = 1 - 2 / (exp 2x + 1), which is right at both ends: an exponential of infinity or zero.
/// Near zero that is right to 2^-22 of 1, not of tanh x. Beside products of 16-bit numbers this is
/// enough; elsewhere |x| < 0.6 is an odd polynomial, within 2^-23 of tanh x. (tanh.approx is right
/// to 2^-11: less than what masks are told of their intervals, predicate/Interval.h.)
Value Elementwise::tanh(Value x) {
  auto number = [&](float value) -> Value {
    return arith::ConstantOp::create(builder, loc, builder.getF32FloatAttr(value));
  };
  auto product = [&](Value a, Value b) -> Value {
    return arith::MulFOp::create(builder, loc, a, b);
  };
  auto fma = [&](Value a, Value b, Value c) -> Value {
    return math::FmaOp::create(builder, loc, a, b, c);
  };
  constexpr float twiceLog2E = 2.88539008F;
  Value power = intrinsic(builder.getF32Type(), "llvm.nvvm.ex2.approx.ftz.f",
                          {product(x, number(twiceLog2E))});
  Value rest = intrinsic(builder.getF32Type(), "llvm.nvvm.rcp.approx.ftz.f",
                         {arith::AddFOp::create(builder, loc, power, number(1))});
  Value far = fma(rest, number(-2), number(1));
  if (roundsOperands())
    return far;
  Value square = product(x, x), sum = number(-0.00626911968F);
  for (float coefficient : {0.0211109594F, -0.0538739488F, 0.133329153F, -0.333333313F})
    sum = fma(sum, square, number(coefficient));
  Value near = fma(product(sum, square), x, x);
  Value isNear =
      arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OLT, square, number(0.36F));
  return arith::SelectOp::create(builder, loc, isNear, near, far);
}

/// Whether all products are of 16-bit numbers, of which there is one at least.
bool Elementwise::roundsOperands() const {
  bool any = false, f32 = false;
  kernel->walk([&](block::ProductOp product) {
    any = true;
    f32 |= product.getRight().getType().getElementType().isF32();
  });
  return any && !f32;
}
