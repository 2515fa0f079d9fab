#pragma once

#include "ringc/compiler/frontend/Ast.h"
#include "ringc/compiler/irgen/ValueBuilder.h"

#include "llvm/ADT/StringMap.h"

namespace ringc {

/// What the names of a function's body mean: parameters and lets, scalars or views.
using Environment = llvm::StringMap<mlir::Value>;

/// The indices that lie within an axis of their own by what they are: b in B, h in H, j in an Nk
/// beside an Nq, and in Nq and Nk the rows of the shard, where the data of i and j lies.
struct OwnIndices {
  mlir::Value b, h, j, queryRow, keyRow;
};

mlir::Location locationOf(mlir::MLIRContext *context, const frontend::SourceFile &source,
                          frontend::Location location);

/// f32, f16, bf16, i32, i1; not a constant of a kernel.
mlir::Type elementType(mlir::MLIRContext *context, frontend::Element::Kind kind);

/// Writes out the bodies of masks, scores and functions at the builder's place. Calls are written
/// out too; their arguments may be tiles, on which a scalar function works element by element.
class FunctionEmitter {
public:
  explicit FunctionEmitter(mlir::OpBuilder &opBuilder) : builder(opBuilder), values(opBuilder) {}

  /// The value that the function returns for arguments that stand in its order of parameters.
  mlir::Value call(const frontend::FunctionDecl &function, llvm::ArrayRef<mlir::Value> arguments,
                   const OwnIndices &own);

private:
  struct Body {
    const frontend::FunctionDecl &function;
    Environment names;
    const OwnIndices &own;
  };
  mlir::Value emit(Body &body, const frontend::Expr &expr);
  mlir::Value emitCall(Body &body, const frontend::CallExpr &call, mlir::Location loc);
  mlir::Value emitElement(Body &body, const frontend::SubscriptExpr &subscript, mlir::Location loc);

  mlir::OpBuilder &builder;
  ValueBuilder values;
};

} // namespace ringc
