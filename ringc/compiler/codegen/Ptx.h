#pragma once

#include "ringc/compiler/spec/Target.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/Error.h"

#include <memory>
#include <string>

namespace ringc {

/// Translates a module of the LLVM and NVVM dialects and simplifies it for the target's GPU. Null
/// on failure, with a diagnostic.
std::unique_ptr<llvm::Module> translateForGpu(mlir::ModuleOp module, llvm::LLVMContext &context,
                                              const Target &target);

/// PTX text for the target's GPU: for equal modules the same bytes. The error is what LLVM's code
/// generator says of inline assembly or operations that the chip does not have.
llvm::Expected<std::string> emitPtx(llvm::Module &module, const Target &target);

} // namespace ringc
