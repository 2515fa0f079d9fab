#include "compiler/passes/gpu/LowerToNvvm.h"

#include "compiler/dialect/Tile.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/IR/BuiltinOps.h"

using namespace mlir;

namespace ringc {

namespace {

struct LowerToNvvm : PassWrapper<LowerToNvvm, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(LowerToNvvm)

  LowerToNvvm(GpuTarget gpu, CompiledKernel &made) : target(std::move(gpu)), kernel(made) {}

  StringRef getArgument() const override { return "lower-to-nvvm"; }
  StringRef getDescription() const override { return "Turns the kernel of tiles into a GPU's"; }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<LLVM::LLVMDialect, NVVM::NVVMDialect>();
  }

  void runOnOperation() override {
    getOperation().emitError("there is no lowering of ")
        << kernel.name << " for sm_" << target.sm << " yet";
    signalPassFailure();
  }

  GpuTarget target;
  CompiledKernel &kernel;
};

} // namespace

std::unique_ptr<Pass> createLowerToNvvmPass(const GpuTarget &target, CompiledKernel &kernel) {
  return std::make_unique<LowerToNvvm>(target, kernel);
}

} // namespace ringc
