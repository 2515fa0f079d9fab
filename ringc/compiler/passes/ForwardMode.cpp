#include "ringc/compiler/passes/ForwardMode.h"

#include "ringc/compiler/passes/ScalarFunction.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/TypeSwitch.h"

#include <numbers>

using namespace mlir;

namespace ringc {

namespace {

/// Arithmetic on slopes at one place; what folds is not emitted, and a null value is zero.
class Slopes {
public:
  Slopes(OpBuilder &opBuilder, Operation *op)
      : builder(opBuilder), loc(op->getLoc()), type(op->getResult(0).getType()) {}

  Value constant(double value) {
    return arith::ConstantOp::create(builder, loc, builder.getFloatAttr(type, value));
  }
  Value orZero(Value a) { return a ? a : constant(0); }

  Value add(Value a, Value b) { return !a ? b : !b ? a : emit<arith::AddFOp>(a, b); }
  Value sub(Value a, Value b) { return !b ? a : !a ? negate(b) : emit<arith::SubFOp>(a, b); }
  Value mul(Value a, Value b) { return a && b ? emit<arith::MulFOp>(a, b) : Value(); }
  Value div(Value a, Value b) { return a ? emit<arith::DivFOp>(a, b) : Value(); }
  Value negate(Value a) { return a ? emit<arith::NegFOp>(a) : Value(); }
  Value select(Value condition, Value a, Value b) {
    return emit<arith::SelectOp>(condition, orZero(a), orZero(b));
  }
  template <class OpTy> Value apply(Value a) { return emit<OpTy>(a); }
  Value compare(arith::CmpFPredicate predicate, Value a, Value b) {
    return emit<arith::CmpFOp>(predicate, a, b);
  }

private:
  template <class OpTy, class... Operands> Value emit(Operands... operands) {
    return builder.createOrFold<OpTy>(loc, operands...);
  }

  OpBuilder &builder;
  Location loc;
  Type type;
};

constexpr double ln2 = 0.693147180559945309417;

} // namespace

FailureOr<Value> ForwardMode::slopeOf(Operation *copy, ArrayRef<Value> slopes) {
  if (!isa<FloatType>(copy->getResult(0).getType()) ||
      llvm::none_of(slopes, [](Value slope) { return bool(slope); }))
    return Value();
  Slopes s(builder, copy);
  Value result = copy->getResult(0);
  auto in = [&](unsigned index) { return copy->getOperand(index); };
  auto largest = [&](arith::CmpFPredicate predicate) {
    return s.select(s.compare(predicate, in(0), in(1)), slopes[0], slopes[1]);
  };
  return llvm::TypeSwitch<Operation *, FailureOr<Value>>(copy)
      .Case<arith::AddFOp>([&](auto) { return s.add(slopes[0], slopes[1]); })
      .Case<arith::SubFOp>([&](auto) { return s.sub(slopes[0], slopes[1]); })
      .Case<arith::NegFOp>([&](auto) { return s.negate(slopes[0]); })
      .Case<arith::MulFOp>(
          [&](auto) { return s.add(s.mul(slopes[0], in(1)), s.mul(in(0), slopes[1])); })
      .Case<math::FmaOp>([&](auto) {
        return s.add(s.add(s.mul(slopes[0], in(1)), s.mul(in(0), slopes[1])), slopes[2]);
      })
      // (a / b)' = (a' - (a / b) * b') / b
      .Case<arith::DivFOp>(
          [&](auto) { return s.div(s.sub(slopes[0], s.mul(result, slopes[1])), in(1)); })
      .Case<arith::MaxNumFOp, arith::MaximumFOp>(
          [&](auto) { return largest(arith::CmpFPredicate::OGE); })
      .Case<arith::MinNumFOp, arith::MinimumFOp>(
          [&](auto) { return largest(arith::CmpFPredicate::OLE); })
      .Case<arith::SelectOp>([&](auto) { return s.select(in(0), slopes[1], slopes[2]); })
      .Case<math::TanhOp>(
          [&](auto) { return s.mul(s.sub(s.constant(1), s.mul(result, result)), slopes[0]); })
      .Case<math::Exp2Op>([&](auto) { return s.mul(s.mul(result, s.constant(ln2)), slopes[0]); })
      .Case<math::Log2Op>([&](auto) { return s.div(slopes[0], s.mul(in(0), s.constant(ln2))); })
      .Case<math::ExpOp>([&](auto) { return s.mul(result, slopes[0]); })
      .Case<math::LogOp>([&](auto) { return s.div(slopes[0], in(0)); })
      .Case<math::SinOp>([&](auto) { return s.mul(s.apply<math::CosOp>(in(0)), slopes[0]); })
      .Case<math::CosOp>(
          [&](auto) { return s.negate(s.mul(s.apply<math::SinOp>(in(0)), slopes[0])); })
      // 2 / sqrt(pi) * exp(-x^2)
      .Case<math::ErfOp>([&](auto) {
        Value power = s.apply<math::ExpOp>(s.negate(s.mul(in(0), in(0))));
        return s.mul(s.mul(s.constant(2 * std::numbers::inv_sqrtpi), power), slopes[0]);
      })
      .Case<math::SqrtOp>([&](auto) { return s.div(s.mul(s.constant(0.5), slopes[0]), result); })
      .Case<math::AbsFOp>([&](auto) {
        Value zero = s.constant(0);
        Value down = s.select(s.compare(arith::CmpFPredicate::OLT, in(0), zero),
                              s.negate(slopes[0]), Value());
        return s.select(s.compare(arith::CmpFPredicate::OGT, in(0), zero), slopes[0], down);
      })
      .Default([&](Operation *op) -> FailureOr<Value> {
        return op->emitError("cannot differentiate ")
               << op->getName() << "; a `derivative` of the same name as the score takes its place";
      });
}

FailureOr<Dual> ForwardMode::call(func::CallOp op, ArrayRef<Dual> arguments) {
  auto callee = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(op, op.getCalleeAttr());
  if (!callee || !isScalarFunction(callee) || arguments.empty())
    return op.emitError("cannot differentiate a call of @") << op.getCallee();
  if (!callee->hasAttr(derivativeAttr))
    return run(callee, arguments);

  FailureOr<func::FuncOp> derivative = givenDerivative(callee);
  if (failed(derivative))
    return failure();
  for (const Dual &argument : arguments.drop_front())
    if (argument.slope)
      return op.emitError("the given derivative of @")
             << op.getCallee() << " is with respect to its first argument; another depends on s";
  SmallVector<Value> values;
  for (const Dual &argument : arguments)
    values.push_back(argument.value);
  Dual result;
  result.value = func::CallOp::create(builder, op.getLoc(), callee, values).getResult(0);
  if (arguments[0].slope) {
    auto slope = func::CallOp::create(builder, op.getLoc(), *derivative, values);
    result.slope = Slopes(builder, slope).mul(slope.getResult(0), arguments[0].slope);
  }
  return result;
}

FailureOr<Dual> ForwardMode::run(func::FuncOp function, ArrayRef<Dual> arguments) {
  constexpr int maxDepth = 100;
  if (++depth > maxDepth)
    return function.emitError("calls nest more than ") << maxDepth << " deep";
  IRMapping mapping;
  llvm::DenseMap<Value, Value> slopes;
  for (auto [argument, dual] : llvm::zip_equal(function.getArguments(), arguments)) {
    mapping.map(argument, dual.value);
    slopes[argument] = dual.slope;
  }
  for (Operation &op : function.getBody().front()) {
    if (auto end = dyn_cast<func::ReturnOp>(op)) {
      --depth;
      return Dual{mapping.lookup(end.getOperand(0)), slopes.lookup(end.getOperand(0))};
    }
    if (++operations > maxScalarOperations)
      return function.emitError("has more than ")
             << maxScalarOperations << " operations, those of the functions it calls included";
    if (auto callOp = dyn_cast<func::CallOp>(op)) {
      SmallVector<Dual> duals;
      for (Value operand : callOp.getOperands())
        duals.push_back({mapping.lookup(operand), slopes.lookup(operand)});
      FailureOr<Dual> result = call(callOp, duals);
      if (failed(result))
        return failure();
      mapping.map(callOp.getResult(0), result->value);
      slopes[callOp.getResult(0)] = result->slope;
      continue;
    }
    Operation *copy = builder.clone(op, mapping);
    SmallVector<Value> of;
    for (Value operand : op.getOperands())
      of.push_back(slopes.lookup(operand));
    FailureOr<Value> slope = slopeOf(copy, of);
    if (failed(slope))
      return failure();
    slopes[op.getResult(0)] = *slope;
  }
  return failure();
}

} // namespace ringc
