#pragma once

#include "ringc/compiler/frontend/Ast.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"

namespace ringc {

/// Operators and builtins of the language on SSA values: scalars, or tiles element by element.
/// Mixed operands are splat and repeated to one shape. The checker has made sure that shapes and
/// element types agree.
class ValueBuilder {
public:
  explicit ValueBuilder(mlir::OpBuilder &opBuilder) : builder(opBuilder) {}

  mlir::Value integer(mlir::Location loc, int64_t value);
  mlir::Value real(mlir::Location loc, double value);
  mlir::Value boolean(mlir::Location loc, bool value);
  /// A constant of any float type.
  mlir::Value real(mlir::Location loc, mlir::Type type, double value);

  mlir::Value binary(mlir::Location loc, frontend::BinaryOp op, mlir::Value a, mlir::Value b);
  mlir::Value negate(mlir::Location loc, mlir::Value a);
  mlir::Value logicalNot(mlir::Location loc, mlir::Value a);
  mlir::Value select(mlir::Location loc, mlir::Value condition, mlir::Value a, mlir::Value b);
  mlir::Value shortcut(mlir::Location loc, mlir::Value rows, mlir::Value quick, mlir::Value always);
  mlir::Value elementwise(mlir::Location loc, frontend::Builtin builtin, mlir::ValueRange operands);
  /// i32 to f32.
  mlir::Value toFloat(mlir::Location loc, mlir::Value a);
  /// f32 to i32, towards zero; what lies outside i32 becomes its nearest end, NaN the lowest.
  mlir::Value toInteger(mlir::Location loc, mlir::Value a);
  /// Between float types, or from i32.
  mlir::Value cast(mlir::Location loc, mlir::Value a, mlir::Type element);
  mlir::Value splat(mlir::Location loc, mlir::Value scalar, llvm::ArrayRef<int64_t> shape);
  mlir::Value iota(mlir::Location loc, llvm::ArrayRef<int64_t> shape);
  mlir::Value transpose(mlir::Location loc, mlir::Value tile);
  mlir::Value dot(mlir::Location loc, mlir::Value a, mlir::Value b);
  mlir::Value reduce(mlir::Location loc, frontend::Builtin builtin, mlir::Value tile);

private:
  /// Brings operands to one shape where one of them is a tile.
  void unify(mlir::Location loc, llvm::SmallVectorImpl<mlir::Value> &operands);
  mlir::Value constantLike(mlir::Location loc, mlir::Type type, int64_t value);
  mlir::Value integerBinary(mlir::Location loc, frontend::BinaryOp op, mlir::Value a,
                            mlir::Value b);
  mlir::Value floatBinary(mlir::Location loc, frontend::BinaryOp op, mlir::Value a, mlir::Value b);
  mlir::Value boolBinary(mlir::Location loc, frontend::BinaryOp op, mlir::Value a, mlir::Value b);
  mlir::Value divide(mlir::Location loc, mlir::Value a, mlir::Value b);
  mlir::Value remainder(mlir::Location loc, mlir::Value a, mlir::Value b);
  /// The divisor, or 1 in place of 0 and -1, by which hardware traps.
  mlir::Value safeDivisor(mlir::Location loc, mlir::Value divisor);

  mlir::OpBuilder &builder;
};

} // namespace ringc
