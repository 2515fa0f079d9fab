#include "ringc/compiler/passes/cpu/VectorMath.h"

#include "ringc/compiler/passes/ElementFunctions.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace ringc;
using namespace ringc::cpu;

Value ringc::cpu::greaterOf(OpBuilder &b, Location loc, Value x, Value y) {
  Value greater = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OGT, x, y);
  return arith::SelectOp::create(b, loc, greater, x, y);
}

Value ringc::cpu::exp2(OpBuilder &b, Location loc, Value x, const CpuTarget &target) {
  auto type = cast<VectorType>(x.getType());
  auto splat = [&](float value) -> Value {
    return arith::ConstantOp::create(b, loc, DenseElementsAttr::get(type, value));
  };
  bool scalef = target.hasAvx512 && type.getNumElements() == 16;
  // The comparison keeps a NaN of x.
  float least = scalef ? -200.0f : -126.0f;
  Value clamped = greaterOf(b, loc, splat(least), x);
  if (!scalef) {
    Value most = splat(128.0f);
    Value less = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OLT, most, clamped);
    clamped = arith::SelectOp::create(b, loc, less, most, clamped);
  }
  Value whole = LLVM::RoundEvenOp::create(b, loc, type, clamped);
  Value f = arith::SubFOp::create(b, loc, clamped, whole);
  // Minimax polynomial of 2^f on [-1/2, 1/2] with 2^0 exact; relative error 1.6e-7.
  constexpr float coefficients[] = {1.32764725e-3f, 9.67554096e-3f, 5.55071309e-2f,
                                    2.40221202e-1f, 6.93146944e-1f, 1.0f};
  // Without scalef twice 2^f, and 2^(n-1) below: results from 2^127.5 to 2^128 are finite.
  float factor = scalef ? 1.0f : 2.0f;
  Value p = splat(factor * coefficients[0]);
  for (int i = 1; i < 6; ++i)
    p = LLVM::FMAOp::create(b, loc, type, ValueRange{p, f, splat(factor * coefficients[i])});
  if (scalef) {
    Value all = arith::ConstantIntOp::create(b, loc, -1, 16);
    Value nearest = arith::ConstantIntOp::create(b, loc, 4, 32);
    return LLVM::CallIntrinsicOp::create(b, loc, type,
                                         b.getStringAttr("llvm.x86.avx512.mask.scalef.ps.512"),
                                         ValueRange{p, whole, p, all, nearest})
        .getResult(0);
  }
  auto integers = type.clone(b.getI32Type());
  Value n = arith::FPToSIOp::create(b, loc, integers, whole);
  Value shift = arith::ConstantOp::create(b, loc, DenseElementsAttr::get(integers, 23));
  Value bias = arith::ConstantOp::create(b, loc, DenseElementsAttr::get(integers, 126));
  Value exponent = arith::ShLIOp::create(b, loc, arith::AddIOp::create(b, loc, n, bias), shift);
  Value power = arith::BitcastOp::create(b, loc, type, exponent); // 0 for n = -126
  return arith::MulFOp::create(b, loc, p, power);
}

Value ringc::cpu::emitSpecial(OpBuilder &b, Location loc, Operation *op, ValueRange operands,
                              const CpuTarget &target) {
  if (Value made = elementFunction(b, loc, op, operands))
    return made;
  if (isa<math::Exp2Op>(op))
    return exp2(b, loc, operands[0], target);
  if (isa<math::Log2Op>(op)) {
    // The polynomial takes numbers below 2^-126 for 2^-126.
    Value x = operands[0];
    auto splat = [&](float value) -> Value {
      return arith::ConstantOp::create(
          b, loc, DenseElementsAttr::get(cast<VectorType>(x.getType()), value));
    };
    Value small = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OLT, x, splat(0x1p-126f));
    Value larger = arith::MulFOp::create(b, loc, x, splat(0x1p24f));
    Value log = math::Log2Op::create(b, loc, arith::SelectOp::create(b, loc, small, larger, x));
    Value less = arith::SelectOp::create(b, loc, small, splat(24), splat(0));
    return arith::SubFOp::create(b, loc, log, less);
  }
  // The comparison, one instruction, gives the second where one is NaN.
  auto numberOf = [&](arith::CmpFPredicate predicate) -> Value {
    auto compare = [&](arith::CmpFPredicate how, Value x, Value y) -> Value {
      return arith::CmpFOp::create(b, loc, how, x, y);
    };
    Value chosen = arith::SelectOp::create(b, loc, compare(predicate, operands[0], operands[1]),
                                           operands[0], operands[1]);
    Value isNone = compare(arith::CmpFPredicate::UNO, operands[1], operands[1]);
    return arith::SelectOp::create(b, loc, isNone, operands[0], chosen);
  };
  if (isa<arith::MaxNumFOp>(op))
    return numberOf(arith::CmpFPredicate::OGT);
  if (isa<arith::MinNumFOp>(op))
    return numberOf(arith::CmpFPredicate::OLT);
  if (isa<math::AbsIOp>(op)) {
    Value zero = arith::ConstantOp::create(b, loc, b.getZeroAttr(operands[0].getType()));
    return arith::MaxSIOp::create(b, loc, operands[0],
                                  arith::SubIOp::create(b, loc, zero, operands[0]));
  }
  if (isa<arith::FloorDivSIOp>(op)) {
    // A divisor of 0 gives the dividend, as 1 does; one of -1 is not divided by, since the least
    // integer would trap.
    auto constant = [&](int64_t value) -> Value {
      Type type = operands[1].getType();
      Attribute attribute = IntegerAttr::get(getElementTypeOrSelf(type), value);
      return arith::ConstantOp::create(
          b, loc,
          isa<VectorType>(type)
              ? cast<TypedAttr>(DenseElementsAttr::get(cast<ShapedType>(type), attribute))
              : cast<TypedAttr>(attribute));
    };
    auto equal = [&](int64_t value) -> Value {
      return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, operands[1], constant(value));
    };
    Value minusOne = equal(-1);
    Value special = arith::OrIOp::create(b, loc, equal(0), minusOne);
    Value divisor = arith::SelectOp::create(b, loc, special, constant(1), operands[1]);
    Value quotient = arith::DivSIOp::create(b, loc, operands[0], divisor);
    quotient = arith::SelectOp::create(
        b, loc, minusOne, arith::SubIOp::create(b, loc, constant(0), quotient), quotient);
    Value product = arith::MulIOp::create(b, loc, quotient, operands[1]);
    Value rest = arith::SubIOp::create(b, loc, operands[0], product);
    Value zero = constant(0), one = constant(1);
    Value inexact = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, rest, zero);
    Value divided = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, divisor, operands[1]);
    inexact = arith::AndIOp::create(b, loc, inexact, divided);
    Value signs = arith::XOrIOp::create(b, loc, rest, operands[1]);
    Value opposite = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, signs, zero);
    Value lower = arith::SubIOp::create(b, loc, quotient, one);
    return arith::SelectOp::create(b, loc, arith::AndIOp::create(b, loc, inexact, opposite), lower,
                                   quotient);
  }
  return {};
}
