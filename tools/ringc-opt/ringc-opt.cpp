// ringc-opt: runs passes on tile IR, for tests and for looking at one pass at a time.

#include "ringc/compiler/passes/Passes.h"
#include "ringc/compiler/passes/Pipeline.h"
#include "ringc/compiler/passes/gpu/Block.h"
#include "ringc/compiler/passes/gpu/NvvmStage.h"

#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "mlir/Transforms/Passes.h"

#include <vector>

/// Those of the tile language and, with the passes' default options, those of the host.
static llvm::ArrayRef<ringc::Stage> allStages() {
  static const std::vector<ringc::Stage> stages = [] {
    std::vector<ringc::Stage> all(ringc::tileStages().begin(), ringc::tileStages().end());
    all.push_back({"vector", [](mlir::OpPassManager &passes) {
                     passes.addPass(ringc::createLowerToVector());
                     passes.addPass(mlir::createCSEPass());
                   }});
    all.push_back(
        {"llvm", [](mlir::OpPassManager &passes) { passes.addPass(ringc::createLowerToLlvm()); }});
    return all;
  }();
  return stages;
}

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  registry.insert<ringc::tile::TileDialect, ringc::block::BlockDialect, mlir::arith::ArithDialect,
                  mlir::cf::ControlFlowDialect, mlir::func::FuncDialect, mlir::LLVM::LLVMDialect,
                  mlir::math::MathDialect, mlir::NVVM::NVVMDialect, mlir::scf::SCFDialect,
                  mlir::vector::VectorDialect>();
  ringc::registerRingcPasses();
  ringc::registerNvvmPasses();
  ringc::registerStages(allStages());
  mlir::registerCanonicalizerPass();
  mlir::registerCSEPass();
  mlir::registerSymbolDCEPass();
  return mlir::asMainReturnCode(
      mlir::MlirOptMain(argc, argv, "ringc-opt: passes on tile IR\n", registry));
}
