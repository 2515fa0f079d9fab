#pragma once

#include "ringc/compiler/passes/gpu/Thread.h"

namespace ringc::gpu {

/// Operations on elements, in registers; what is counted; broadcasts.
class Elementwise : protected Thread {
public:
  explicit Elementwise(ThreadCode &ofCode) : Thread(ofCode) {}
  LogicalResult lower(mlir::Operation *op);

protected:
  Value elementwise(mlir::Operation *op, llvm::ArrayRef<Value> operands);
  // Functions.cpp
  Value reciprocal(Value x);
  Value tanh(Value x);
  bool roundsOperands() const;

  llvm::DenseMap<Value, Value> reciprocals; ///< of what all elements at hand are divided by

private:
  Fragment counted(mlir::Operation *op);
};

} // namespace ringc::gpu
