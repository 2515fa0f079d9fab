#include "ringc/compiler/irgen/ValueBuilder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/TypeUtilities.h"
#include "ringc/compiler/dialect/Tile.h"

using namespace mlir;

namespace ringc {

using frontend::BinaryOp;
using frontend::Builtin;

static Type withElement(Type like, Type element) {
  auto tile = dyn_cast<RankedTensorType>(like);
  return tile ? Type(RankedTensorType::get(tile.getShape(), element)) : element;
}

Value ValueBuilder::integer(Location loc, int64_t value) {
  return arith::ConstantOp::create(builder, loc,
                                   builder.getI32IntegerAttr(static_cast<int32_t>(value)));
}

Value ValueBuilder::real(Location loc, double value) {
  return real(loc, builder.getF32Type(), value);
}

Value ValueBuilder::real(Location loc, Type type, double value) {
  return arith::ConstantOp::create(builder, loc, builder.getFloatAttr(type, value));
}

Value ValueBuilder::boolean(Location loc, bool value) {
  return arith::ConstantOp::create(builder, loc, builder.getBoolAttr(value));
}

/// An integer or a bool, in every element where `type` is a tile.
Value ValueBuilder::constantLike(Location loc, Type type, int64_t value) {
  auto element = builder.getIntegerAttr(getElementTypeOrSelf(type), value);
  if (auto tile = dyn_cast<RankedTensorType>(type))
    return arith::ConstantOp::create(builder, loc,
                                     DenseElementsAttr::get(tile, Attribute(element)));
  return arith::ConstantOp::create(builder, loc, element);
}

Value ValueBuilder::splat(Location loc, Value scalar, ArrayRef<int64_t> shape) {
  auto type = RankedTensorType::get(shape, scalar.getType());
  Attribute constant;
  if (matchPattern(scalar, m_Constant(&constant)))
    return arith::ConstantOp::create(builder, loc, DenseElementsAttr::get(type, constant));
  return tile::SplatOp::create(builder, loc, type, scalar);
}

void ValueBuilder::unify(Location loc, SmallVectorImpl<Value> &operands) {
  SmallVector<int64_t> shape;
  for (Value operand : operands) {
    auto type = dyn_cast<RankedTensorType>(operand.getType());
    if (!type)
      continue;
    shape.resize(2, 1);
    for (int axis : {0, 1})
      shape[axis] = std::max(shape[axis], type.getDimSize(axis));
  }
  if (shape.empty())
    return;
  for (Value &operand : operands) {
    auto type = dyn_cast<RankedTensorType>(operand.getType());
    if (!type)
      operand = splat(loc, operand, shape);
    else if (type.getShape() != ArrayRef(shape))
      operand = tile::BroadcastOp::create(
          builder, loc, RankedTensorType::get(shape, type.getElementType()), operand);
  }
}

Value ValueBuilder::binary(Location loc, BinaryOp op, Value a, Value b) {
  SmallVector<Value> operands = {a, b};
  unify(loc, operands);
  Type element = getElementTypeOrSelf(a.getType());
  if (element.isInteger(1))
    return boolBinary(loc, op, operands[0], operands[1]);
  if (element.isInteger(32))
    return integerBinary(loc, op, operands[0], operands[1]);
  return floatBinary(loc, op, operands[0], operands[1]);
}

Value ValueBuilder::integerBinary(Location loc, BinaryOp op, Value a, Value b) {
  auto compare = [&](arith::CmpIPredicate predicate) -> Value {
    return arith::CmpIOp::create(builder, loc, predicate, a, b);
  };
  switch (op) {
  case BinaryOp::Add:
    return arith::AddIOp::create(builder, loc, a, b);
  case BinaryOp::Subtract:
    return arith::SubIOp::create(builder, loc, a, b);
  case BinaryOp::Multiply:
    return arith::MulIOp::create(builder, loc, a, b);
  case BinaryOp::Divide:
    return divide(loc, a, b);
  case BinaryOp::Remainder:
    return remainder(loc, a, b);
  case BinaryOp::Equal:
    return compare(arith::CmpIPredicate::eq);
  case BinaryOp::NotEqual:
    return compare(arith::CmpIPredicate::ne);
  case BinaryOp::Less:
    return compare(arith::CmpIPredicate::slt);
  case BinaryOp::LessEqual:
    return compare(arith::CmpIPredicate::sle);
  case BinaryOp::Greater:
    return compare(arith::CmpIPredicate::sgt);
  case BinaryOp::GreaterEqual:
    return compare(arith::CmpIPredicate::sge);
  case BinaryOp::And:
  case BinaryOp::Or:
    break;
  }
  llvm_unreachable("the checker refuses it");
}

Value ValueBuilder::floatBinary(Location loc, BinaryOp op, Value a, Value b) {
  auto compare = [&](arith::CmpFPredicate predicate) -> Value {
    return arith::CmpFOp::create(builder, loc, predicate, a, b);
  };
  switch (op) {
  case BinaryOp::Add:
    return arith::AddFOp::create(builder, loc, a, b);
  case BinaryOp::Subtract:
    return arith::SubFOp::create(builder, loc, a, b);
  case BinaryOp::Multiply:
    return arith::MulFOp::create(builder, loc, a, b);
  case BinaryOp::Divide:
    return arith::DivFOp::create(builder, loc, a, b);
  case BinaryOp::Equal:
    return compare(arith::CmpFPredicate::OEQ);
  case BinaryOp::NotEqual:
    return compare(arith::CmpFPredicate::UNE);
  case BinaryOp::Less:
    return compare(arith::CmpFPredicate::OLT);
  case BinaryOp::LessEqual:
    return compare(arith::CmpFPredicate::OLE);
  case BinaryOp::Greater:
    return compare(arith::CmpFPredicate::OGT);
  case BinaryOp::GreaterEqual:
    return compare(arith::CmpFPredicate::OGE);
  case BinaryOp::Remainder:
  case BinaryOp::And:
  case BinaryOp::Or:
    break;
  }
  llvm_unreachable("the checker refuses it");
}

Value ValueBuilder::boolBinary(Location loc, BinaryOp op, Value a, Value b) {
  if (op == BinaryOp::And)
    return arith::AndIOp::create(builder, loc, a, b);
  if (op == BinaryOp::Or)
    return arith::OrIOp::create(builder, loc, a, b);
  Value differ = arith::XOrIOp::create(builder, loc, a, b);
  return op == BinaryOp::NotEqual ? differ : logicalNot(loc, differ);
}

Value ValueBuilder::safeDivisor(Location loc, Value divisor) {
  APInt value;
  if (matchPattern(divisor, m_ConstantInt(&value)) && !value.isZero() && !value.isAllOnes())
    return divisor;
  Value one = constantLike(loc, divisor.getType(), 1);
  Value isZero = binary(loc, BinaryOp::Equal, divisor, constantLike(loc, divisor.getType(), 0));
  Value isMinusOne =
      binary(loc, BinaryOp::Equal, divisor, constantLike(loc, divisor.getType(), -1));
  return select(loc, boolBinary(loc, BinaryOp::Or, isZero, isMinusOne), one, divisor);
}

/// Rounds down; x / 0 is 0, and the smallest i32 / -1 wraps.
Value ValueBuilder::divide(Location loc, Value a, Value b) {
  Value divisor = safeDivisor(loc, b);
  Value quotient = arith::FloorDivSIOp::create(builder, loc, a, divisor);
  if (divisor == b)
    return quotient;
  Value zero = constantLike(loc, b.getType(), 0);
  Value isZero = integerBinary(loc, BinaryOp::Equal, b, zero);
  Value isMinusOne = integerBinary(loc, BinaryOp::Equal, b, constantLike(loc, b.getType(), -1));
  Value negated = arith::SubIOp::create(builder, loc, zero, a);
  return select(loc, isZero, zero, select(loc, isMinusOne, negated, quotient));
}

/// Has the divisor's sign; x % 0 is 0.
Value ValueBuilder::remainder(Location loc, Value a, Value b) {
  Value divisor = safeDivisor(loc, b);
  Value quotient = arith::FloorDivSIOp::create(builder, loc, a, divisor);
  return arith::SubIOp::create(builder, loc, a,
                               arith::MulIOp::create(builder, loc, quotient, divisor));
}

Value ValueBuilder::negate(Location loc, Value a) {
  Attribute constant;
  if (matchPattern(a, m_Constant(&constant))) {
    if (auto number = dyn_cast<FloatAttr>(constant))
      return real(loc, number.getType(), -number.getValueAsDouble());
    if (auto number = dyn_cast<IntegerAttr>(constant))
      return integer(loc, -number.getInt());
  }
  if (getElementTypeOrSelf(a.getType()).isInteger(32))
    return arith::SubIOp::create(builder, loc, constantLike(loc, a.getType(), 0), a);
  return arith::NegFOp::create(builder, loc, a);
}

Value ValueBuilder::logicalNot(Location loc, Value a) {
  return arith::XOrIOp::create(builder, loc, a, constantLike(loc, a.getType(), 1));
}

Value ValueBuilder::select(Location loc, Value condition, Value a, Value b) {
  SmallVector<Value> operands = {a, b, condition};
  unify(loc, operands);
  return arith::SelectOp::create(builder, loc, operands[2], operands[0], operands[1]);
}

Value ValueBuilder::shortcut(Location loc, Value rows, Value quick, Value always) {
  SmallVector<Value> operands = {quick, always};
  // A column even where both are scalars: rows without columns would be none.
  auto shapeOf = [](Value value) {
    return mlir::cast<RankedTensorType>(value.getType()).getShape();
  };
  for (Value &operand : operands)
    if (!isa<RankedTensorType>(operand.getType()))
      operand = splat(loc, operand, shapeOf(rows));
  unify(loc, operands);
  for (Value &operand : operands)
    if (shapeOf(operand)[0] != shapeOf(rows)[0])
      operand = tile::BroadcastOp::create(
          builder, loc,
          RankedTensorType::get({shapeOf(rows)[0], shapeOf(operand)[1]}, builder.getF32Type()),
          operand);
  return tile::ShortcutOp::create(builder, loc, operands[0].getType(), rows, operands[0],
                                  operands[1]);
}

Value ValueBuilder::elementwise(Location loc, Builtin builtin, ValueRange values) {
  SmallVector<Value> operands(values);
  unify(loc, operands);
  bool integers = getElementTypeOrSelf(operands[0].getType()).isInteger(32);
  switch (builtin) {
  case Builtin::Min:
    if (integers)
      return arith::MinSIOp::create(builder, loc, operands[0], operands[1]);
    return arith::MinNumFOp::create(builder, loc, operands[0], operands[1]);
  case Builtin::Max:
    if (integers)
      return arith::MaxSIOp::create(builder, loc, operands[0], operands[1]);
    return arith::MaxNumFOp::create(builder, loc, operands[0], operands[1]);
  case Builtin::Abs:
    if (integers)
      return math::AbsIOp::create(builder, loc, operands[0]);
    return math::AbsFOp::create(builder, loc, operands[0]);
  case Builtin::Tanh:
    return math::TanhOp::create(builder, loc, operands[0]);
  case Builtin::Exp:
    return math::ExpOp::create(builder, loc, operands[0]);
  case Builtin::Exp2:
    return math::Exp2Op::create(builder, loc, operands[0]);
  case Builtin::Log:
    return math::LogOp::create(builder, loc, operands[0]);
  case Builtin::Log2:
    return math::Log2Op::create(builder, loc, operands[0]);
  case Builtin::Sqrt:
    return math::SqrtOp::create(builder, loc, operands[0]);
  case Builtin::Sin:
    return math::SinOp::create(builder, loc, operands[0]);
  case Builtin::Cos:
    return math::CosOp::create(builder, loc, operands[0]);
  case Builtin::Erf:
    return math::ErfOp::create(builder, loc, operands[0]);
  case Builtin::Fma:
    return math::FmaOp::create(builder, loc, operands[0], operands[1], operands[2]);
  case Builtin::Random:
    return tile::RandomOp::create(builder, loc,
                                  withElement(operands[0].getType(), builder.getF32Type()),
                                  operands[0], operands[1], operands[2], operands[3], operands[4]);
  case Builtin::Where:
  case Builtin::Shortcut:
  case Builtin::ToF32:
  case Builtin::ToI32:
  case Builtin::RowMax:
  case Builtin::RowSum:
  case Builtin::ColMax:
  case Builtin::ColSum:
  case Builtin::Dot:
  case Builtin::Cast:
  case Builtin::Zeros:
  case Builtin::Full:
  case Builtin::Iota:
    break;
  }
  llvm_unreachable("not an element-wise builtin");
}

Value ValueBuilder::toFloat(Location loc, Value a) {
  return arith::SIToFPOp::create(builder, loc, withElement(a.getType(), builder.getF32Type()), a);
}

Value ValueBuilder::toInteger(Location loc, Value a) {
  // fptosi is undefined beyond i32; 2147483520 is the largest f32 within. NaN becomes the least.
  Value beyond = binary(loc, BinaryOp::GreaterEqual, a, real(loc, 2147483648.0));
  a = elementwise(loc, Builtin::Max, {a, real(loc, -2147483648.0)});
  a = elementwise(loc, Builtin::Min, {a, real(loc, 2147483520.0)});
  Type type = withElement(a.getType(), builder.getI32Type());
  Value within = arith::FPToSIOp::create(builder, loc, type, a);
  return select(loc, beyond, constantLike(loc, type, std::numeric_limits<int32_t>::max()), within);
}

Value ValueBuilder::cast(Location loc, Value a, Type element) {
  Type from = getElementTypeOrSelf(a.getType());
  if (from == element)
    return a;
  if (from.isInteger(32))
    return arith::SIToFPOp::create(builder, loc, withElement(a.getType(), element), a);
  if (!from.isF32()) {
    a = arith::ExtFOp::create(builder, loc, withElement(a.getType(), builder.getF32Type()), a);
    if (element.isF32())
      return a;
  }
  return arith::TruncFOp::create(builder, loc, withElement(a.getType(), element), a);
}

Value ValueBuilder::transpose(Location loc, Value a) {
  auto type = mlir::cast<RankedTensorType>(a.getType());
  return tile::TransposeOp::create(
      builder, loc,
      RankedTensorType::get({type.getDimSize(1), type.getDimSize(0)}, type.getElementType()), a);
}

Value ValueBuilder::dot(Location loc, Value a, Value b) {
  auto type = RankedTensorType::get({mlir::cast<RankedTensorType>(a.getType()).getDimSize(0),
                                     mlir::cast<RankedTensorType>(b.getType()).getDimSize(1)},
                                    builder.getF32Type());
  return tile::DotOp::create(builder, loc, type, a, b, Value());
}

Value ValueBuilder::iota(Location loc, ArrayRef<int64_t> shape) {
  return tile::IotaOp::create(builder, loc, RankedTensorType::get(shape, builder.getI32Type()));
}

Value ValueBuilder::reduce(Location loc, Builtin builtin, Value a) {
  bool rows = builtin == Builtin::RowMax || builtin == Builtin::RowSum;
  bool max = builtin == Builtin::RowMax || builtin == Builtin::ColMax;
  int32_t axis = rows ? 1 : 0;
  auto type = mlir::cast<RankedTensorType>(a.getType());
  SmallVector<int64_t> shape(type.getShape());
  shape[axis] = 1;
  return tile::ReduceOp::create(builder, loc, RankedTensorType::get(shape, type.getElementType()),
                                max ? tile::ReduceKind::Max : tile::ReduceKind::Sum, a, axis);
}

} // namespace ringc
