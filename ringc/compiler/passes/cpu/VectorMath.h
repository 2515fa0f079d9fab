#pragma once

#include "ringc/compiler/passes/cpu/CpuTarget.h"

#include "mlir/IR/Builders.h"

namespace ringc::cpu {

/// a > b ? a : b: one instruction; a NaN in `a` gives b, a NaN in `b` gives NaN.
mlir::Value greaterOf(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value a, mlir::Value b);

/// 2^x for a vector of f32, relative error below 2e-7; 0 where x < -125.5 (from x < -149 with
/// AVX-512), inf from x = 128, NaN for NaN.
mlir::Value exp2(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value x,
                 const CpuTarget &target);

/// The operations whose vector form is not the operation itself (exp2, max, min, floor division,
/// |i32|, those of ElementFunctions.h); null for the others.
mlir::Value emitSpecial(mlir::OpBuilder &builder, mlir::Location loc, mlir::Operation *op,
                        mlir::ValueRange operands, const CpuTarget &target);

} // namespace ringc::cpu
