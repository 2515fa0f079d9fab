#pragma once

#include "ringc/compiler/spec/Target.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/IR/Module.h"

#include <memory>
#include <string>

namespace ringc {

/// Translates a module of the LLVM dialect and optimises it for the target's processor. Null on
/// failure, with a diagnostic.
std::unique_ptr<llvm::Module> translateForHost(mlir::ModuleOp module, llvm::LLVMContext &context,
                                               const Target &target);

/// An ELF object for the target's processor.
std::string emitHostObject(llvm::Module &module, const Target &target);

} // namespace ringc
