#pragma once

#include "ringc/compiler/dialect/Tile.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace ringc {

/// How often the body of a masked loop stands in the code: once for the tiles that are seen in part
/// and once for those seen whole, or once for both.
enum class LoopBodies { Two, One };

#define GEN_PASS_DECL
#include "ringc/compiler/passes/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "ringc/compiler/passes/Passes.h.inc"

} // namespace ringc
