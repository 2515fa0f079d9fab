// lower-to-nvvm within a compile: the kernel's interface is read off its tile function, completed
// by the lowering and kept in the module.

#include "ringc/compiler/passes/gpu/NvvmStage.h"

#include "ringc/compiler/passes/KernelInterface.h"
#include "ringc/compiler/passes/MaskExpression.h"
#include "ringc/compiler/passes/gpu/LowerToNvvm.h"
#include "ringc/compiler/passes/gpu/TilePasses.h"
#include "ringc/compiler/spec/KernelFile.h"
#include "ringc/compiler/spec/Target.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"

#include <nlohmann/json.hpp>

using namespace mlir;

namespace ringc {

namespace {

struct NvvmStage : PassWrapper<NvvmStage, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(NvvmStage)

  explicit NvvmStage(GpuTarget gpu) : target(std::move(gpu)) {}

  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<arith::ArithDialect, cf::ControlFlowDialect, LLVM::LLVMDialect,
                    math::MathDialect, NVVM::NVVMDialect, scf::SCFDialect, vector::VectorDialect>();
  }

  void runOnOperation() override {
    ModuleOp module = getOperation();
    func::FuncOp function = kernelOf(module);
    if (!function) {
      module.emitError("no function has the attribute tile.kernel");
      return signalPassFailure();
    }
    CompiledKernel kernel = interfaceOf(function);
    kernel.format = CompiledKernel::Format::Ptx;
    kernel.mask = maskOf(function);
    OpPassManager passes(ModuleOp::getOperationName());
    passes.addPass(createLowerToNvvmPass(target, kernel));
    if (failed(runPipeline(passes, module)))
      return signalPassFailure();
    module->setAttr("tile.interface", StringAttr::get(&getContext(), toJson(kernel).dump()));
  }

  GpuTarget target;
};

struct NvvmOptions : PassPipelineOptions<NvvmOptions> {
  Option<int> sm{*this, "sm", llvm::cl::desc("compute capability: 80 is 8.0"), llvm::cl::init(80)};
  Option<int> warps{*this, "warps", llvm::cl::desc("of a block, at most"), llvm::cl::init(4)};
  Option<int> nWarps{*this, "n-warps", llvm::cl::desc("of them, side by side along n"),
                     llvm::cl::init(1)};
};

} // namespace

GpuTarget gpuTargetOf(const Target &target, int64_t warps, int64_t nWarps) {
  return {.sm = static_cast<int>(target.sm),
          .sharedBytes = target.sharedBytes,
          .ptxVersion = target.features.substr(1),
          .warps = warps,
          .nWarps = nWarps};
}

std::unique_ptr<Pass> createNvvmStagePass(const GpuTarget &target) {
  return std::make_unique<NvvmStage>(target);
}

void registerNvvmPasses() {
  PassPipelineRegistration<NvvmOptions>(
      "lower-to-nvvm", "Turns the kernel of tiles into a GPU's",
      [](OpPassManager &passes, const NvvmOptions &options) {
        Target target = gpuTarget("sm_" + std::to_string(options.sm));
        passes.addPass(createNvvmStagePass(gpuTargetOf(target, options.warps, options.nWarps)));
      });
  PassPipelineRegistration<>(
      "max-before-scale", "Scales the largest score in place of the largest of scaled scores",
      [](OpPassManager &passes) { passes.addPass(createMaxBeforeScalePass()); });
  PassPipelineRegistration<>(
      "shorten-lives",
      "Computes numbers just before they are first read, and sums them as soon as they are there",
      [](OpPassManager &passes) { passes.addPass(createShortenLivesPass()); });
  PassPipelineRegistration<>(
      "recompute-behind-loops",
      "Computes addresses behind a loop there, from the block's place in the grid",
      [](OpPassManager &passes) { passes.addPass(createRecomputeBehindLoopsPass()); });
  PassPipelineRegistration<>("nvvm-to-llvm", "Turns what lower-to-nvvm makes into the LLVM dialect",
                             [](OpPassManager &passes) { passes.addPass(createNvvmToLlvmPass()); });
}

} // namespace ringc
