#pragma once

#include "ringc/compiler/irgen/Bindings.h"
#include "ringc/compiler/irgen/FunctionEmitter.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include "llvm/ADT/SmallVector.h"

namespace ringc {

/// One function of the module that is applied to tiles, and the kernel's arguments that follow the
/// positions.
struct Applied {
  mlir::func::FuncOp function;
  llvm::SmallVector<std::string> parameters;
};

/// Writes one kernel and the scalar functions that it applies.
class KernelEmitter {
public:
  KernelEmitter(const frontend::KernelDecl &decl, const frontend::Program &sources,
                const Bindings &bound, mlir::ModuleOp into);

  void emit();

private:
  // the kernel's interface
  void collectArguments();
  void addArgument(std::string name, mlir::Type type);
  void addParametersOf(const frontend::FunctionDecl &function);
  void setAttributes();
  mlir::Type typeOf(const frontend::Type &type);
  mlir::Type elementOf(const frontend::Element &element);
  int64_t sizeOf(const frontend::Extent &extent) const;
  llvm::SmallVector<int64_t> shapeOf(llvm::ArrayRef<frontend::Extent> extents) const;

  // masks and scores as functions of their own (AppliedFunctions.cpp)
  void emitApplied(const std::string &name, bool isMask,
                   llvm::ArrayRef<const frontend::FunctionDecl *> parts);
  Applied emitFunction(const std::string &name, bool isMask,
                       llvm::ArrayRef<const frontend::FunctionDecl *> parts, mlir::Location place);

  // statements
  void emit(const frontend::Block &block);
  void emit(mlir::Location loc, const frontend::LetStatement &let);
  void emit(mlir::Location loc, const frontend::VarStatement &var);
  void emit(mlir::Location loc, const frontend::ResumeStatement &resume);
  void emit(mlir::Location loc, const frontend::AssignStatement &assign);
  void emit(mlir::Location loc, const frontend::StoreStatement &store);
  void emit(mlir::Location loc, const frontend::ForStatement &loop);
  void emit(mlir::Location loc, const frontend::FinishStatement &finish);
  void emit(mlir::Location loc, const frontend::ReturnStatement &result);
  void emitPlainLoop(mlir::Location loc, const frontend::ForStatement &loop,
                     llvm::ArrayRef<std::string> carried);
  void emitMaskedLoop(mlir::Location loc, const frontend::ForStatement &loop,
                      llvm::ArrayRef<std::string> carried);
  llvm::SmallVector<std::string> carriedBy(const frontend::Block &body) const;
  llvm::SmallVector<mlir::Value> lookup(llvm::ArrayRef<std::string> names) const;

  // expressions
  mlir::Value emit(const frontend::Expr &expr);
  mlir::Value emitName(mlir::Location loc, const frontend::NameExpr &name);
  mlir::Value emitCall(mlir::Location loc, const frontend::Expr &expr,
                       const frontend::CallExpr &call);
  mlir::Value emitBuiltin(mlir::Location loc, const frontend::Expr &expr,
                          const frontend::CallExpr &call);
  mlir::Value emitApply(mlir::Location loc, const frontend::CallExpr &call);
  mlir::Value emitLoad(mlir::Location loc, const frontend::Expr &expr,
                       const frontend::SubscriptExpr &subscript);
  mlir::Value emitFill(mlir::Location loc, const frontend::SubscriptExpr &subscript,
                       mlir::Type element);
  mlir::Value emitElement(mlir::Location loc, const std::string &view,
                          const frontend::SubscriptExpr *subscript);

  /// A window: of what is left of its view where indices have taken axes, `rows` those that a tile
  /// names.
  struct Window {
    mlir::Value view;
    llvm::SmallVector<mlir::Value> offsets;
    mlir::Value rows;
    const frontend::AxisRange *first = nullptr; ///< the axis of its rows
  };
  Window windowOf(mlir::Location loc, const frontend::SubscriptExpr &subscript);
  bool isOfKeys(const Window &window) const;

  /// positions and row of an argument such as qpos[rows : BQ]
  struct Place {
    mlir::Value positions;
    mlir::Value row;
    int64_t size;
  };
  Place placeOf(const frontend::Expr &argument);

  mlir::Location loc(frontend::Location location) const {
    return locationOf(builder.getContext(), *kernel.source, location);
  }

  const frontend::KernelDecl &kernel;
  const frontend::Program &program;
  const Bindings &bindings;
  mlir::ModuleOp module;
  mlir::OpBuilder builder;
  ValueBuilder values;
  FunctionEmitter functions;

  llvm::SmallVector<std::string> argumentNames;
  llvm::SmallVector<mlir::Type> argumentTypes;
  llvm::SmallVector<const frontend::FunctionDecl *>
      directCalls; ///< masks and scores called by name
  mlir::func::FuncOp kernelOp;
  Environment names;
  const frontend::ForStatement *keyLoop = nullptr; ///< the masked loop over keys around
  /// By the name of the constant or function that the kernel calls. The scores of one constant are
  /// applied in order; none for the identity.
  llvm::StringMap<llvm::SmallVector<Applied, 1>> applied;
};

} // namespace ringc
