#include "ringc/compiler/passes/ScalarFunction.h"

#include "mlir/IR/IRMapping.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;

namespace ringc {

bool isScalarFunction(func::FuncOp function) {
  if (function.isExternal() || !function.getBody().hasOneBlock() || function.getNumResults() != 1)
    return false;
  for (Operation &op : function.getBody().front().without_terminator())
    if (op.getNumResults() != 1 || op.getNumRegions() != 0)
      return false;
  return isa<func::ReturnOp>(function.getBody().front().getTerminator());
}

void eraseUnused(func::FuncOp function) {
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(function.getBody().front())))
    if (isOpTriviallyDead(&op))
      op.erase();
}

FailureOr<func::FuncOp> givenDerivative(func::FuncOp function) {
  auto name = function->getAttrOfType<FlatSymbolRefAttr>(derivativeAttr);
  if (!name)
    return function.emitError() << derivativeAttr << " must be the name of a function";
  auto derivative = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(function, name);
  if (!derivative)
    return function.emitError("unknown derivative ") << name;
  if (derivative.getFunctionType() != function.getFunctionType())
    return derivative.emitError("is a derivative of type ")
           << derivative.getFunctionType() << ", its score has type " << function.getFunctionType();
  return derivative;
}

namespace {

/// Callees first, so that every body is inlined when it is copied.
class Inliner {
public:
  LogicalResult run(func::FuncOp function) {
    State &state = states[function];
    if (state == State::Done)
      return success();
    state = State::Running;
    SmallVector<func::CallOp> calls;
    function.walk([&](func::CallOp call) { calls.push_back(call); });
    int budget = maxScalarOperations;
    for (func::CallOp call : calls) {
      auto callee = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(call, call.getCalleeAttr());
      if (!callee || !isScalarFunction(callee))
        continue;
      if (states.lookup(callee) == State::Running)
        return call.emitError("@") << call.getCallee() << " calls itself";
      if (failed(run(callee)))
        return failure();
      Block &body = callee.getBody().front();
      budget -= static_cast<int>(body.getOperations().size());
      if (budget < 0)
        return function.emitError("has more than ")
               << maxScalarOperations << " operations, those of the functions it calls included";
      inlineBody(call, body);
    }
    states[function] = State::Done;
    return success();
  }

private:
  enum class State { New, Running, Done };

  static void inlineBody(func::CallOp call, Block &body) {
    OpBuilder builder(call);
    IRMapping mapping;
    mapping.map(body.getArguments(), call.getOperands());
    for (Operation &op : body.without_terminator())
      builder.clone(op, mapping);
    Value result = mapping.lookup(body.getTerminator()->getOperand(0));
    call.getResult(0).replaceAllUsesWith(result);
    call.erase();
  }

  llvm::DenseMap<Operation *, State> states;
};

} // namespace

LogicalResult inlineScalarFunctions(Operation *module) {
  Inliner inliner;
  for (auto function : llvm::make_early_inc_range(module->getRegion(0).getOps<func::FuncOp>()))
    if (failed(inliner.run(function)))
      return failure();
  return success();
}

} // namespace ringc
