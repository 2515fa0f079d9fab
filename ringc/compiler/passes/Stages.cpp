#include "ringc/compiler/passes/Stages.h"

#include "ringc/compiler/passes/Passes.h"
#include "ringc/compiler/passes/Pipeline.h"
#include "ringc/compiler/passes/gpu/Block.h"
#include "ringc/compiler/passes/gpu/LowerToNvvm.h"
#include "ringc/compiler/passes/gpu/NvvmStage.h"
#include "ringc/compiler/passes/gpu/PlaceTiles.h"
#include "ringc/compiler/passes/gpu/StageCopies.h"
#include "ringc/compiler/passes/gpu/TilePasses.h"
#include "ringc/support/Error.h"

#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"
#include "mlir/Transforms/Passes.h"

#include <algorithm>

namespace ringc {

const std::vector<StageName> &stagesFor(const Target &target) {
  static const std::vector<StageName> host = {
      {StageId::Spec, "spec", "json"},   {StageId::Ast, "ast", "tile"},
      {StageId::Tile, "tile", "mlir"},   {StageId::Specialised, "specialised", "mlir"},
      {StageId::Split, "split", "mlir"}, {StageId::Vector, "vector", "mlir"},
      {StageId::Llvm, "llvm", "mlir"},   {StageId::Ir, "ir", "ll"},
      {StageId::Code, "code", "o"}};
  static const std::vector<StageName> gpu = {
      {StageId::Spec, "spec", "json"},     {StageId::Ast, "ast", "tile"},
      {StageId::Tile, "tile", "mlir"},     {StageId::Specialised, "specialised", "mlir"},
      {StageId::Split, "split", "mlir"},   {StageId::Placed, "placed", "mlir"},
      {StageId::Staged, "staged", "mlir"}, {StageId::Nvvm, "nvvm", "mlir"},
      {StageId::Llvm, "llvm", "mlir"},     {StageId::Ir, "ir", "ll"},
      {StageId::Code, "code", "ptx"}};
  return target.isGpu() ? gpu : host;
}

static std::string names(const Target &target) {
  std::string all;
  for (const StageName &stage : stagesFor(target))
    all += (all.empty() ? "" : ", ") + std::string(stage.name);
  return all;
}

std::string fileNameOf(StageId id, const Target &target) {
  const std::vector<StageName> &stages = stagesFor(target);
  auto stage =
      std::find_if(stages.begin(), stages.end(), [&](auto &each) { return each.id == id; });
  std::string number = std::to_string(stage - stages.begin());
  return std::string(2 - number.size(), '0') + number + "." + stage->name + "." + stage->suffix;
}

StageId stageCalled(const std::string &name, const char *argument, const Target &target) {
  for (const StageName &stage : stagesFor(target))
    if (name == stage.name)
      return stage.id;
  throw InputError(argument, name, names(target));
}

StageId stageOfFile(const std::string &path, const Target &target) {
  std::string file = path.substr(path.find_last_of('/') + 1);
  for (const StageName &stage : stagesFor(target)) {
    std::string ending = std::string(stage.name) + "." + stage.suffix;
    if (!file.ends_with(ending))
      continue;
    std::string before = file.substr(0, file.size() - ending.size());
    if (!before.empty() && before.back() != '.')
      continue;
    if (stage.id >= StageId::Tile && stage.id <= StageId::Ir)
      return stage.id;
  }
  throw InputError("--start-from", path,
                   "a file called as --dump calls it, from " + fileNameOf(StageId::Tile, target) +
                       " to " + fileNameOf(StageId::Ir, target));
}

std::unique_ptr<mlir::MLIRContext> makeContext() {
  mlir::DialectRegistry registry;
  registry.insert<tile::TileDialect, block::BlockDialect, mlir::arith::ArithDialect,
                  mlir::cf::ControlFlowDialect, mlir::func::FuncDialect, mlir::LLVM::LLVMDialect,
                  mlir::math::MathDialect, mlir::NVVM::NVVMDialect, mlir::scf::SCFDialect,
                  mlir::vector::VectorDialect>();
  mlir::registerBuiltinDialectTranslation(registry);
  mlir::registerLLVMDialectTranslation(registry);
  mlir::registerNVVMDialectTranslation(registry);
  auto context =
      std::make_unique<mlir::MLIRContext>(registry, mlir::MLIRContext::Threading::DISABLED);
  context->loadAllAvailableDialects();
  return context;
}

mlir::LogicalResult runStage(mlir::ModuleOp module, const StageName &stage,
                             const KernelRequest &request) {
  mlir::PassManager passes(module.getContext());
  passes.enableVerifier(stage.id <= StageId::Nvvm);
  auto gpu = [&] {
    return gpuTargetOf(request.target, request.config.warps, request.config.nWarps);
  };
  switch (stage.id) {
  case StageId::Vector: {
    LowerToVectorOptions options;
    options.vectorBytes = request.target.vectorBytes;
    options.registers = request.target.vectorRegisters;
    options.bf16Dot = request.target.hasBf16Dot;
    options.bf16Tiles = request.target.hasBf16Tiles;
    options.f16Tiles = request.target.hasF16Tiles;
    options.microRows = request.config.microRows;
    options.microVectors = request.config.microVectors;
    passes.addPass(createLowerToVector(options));
    passes.addPass(mlir::createCSEPass());
    break;
  }
  case StageId::Placed:
    passes.addPass(createPlaceTilesPass(gpu()));
    break;
  case StageId::Staged:
    passes.addPass(createStageCopiesPass(gpu()));
    break;
  case StageId::Nvvm:
    // No canonicaliser: scf.for compares every two of the hundreds of numbers that a loop carries,
    // hundreds of milliseconds; what it would fold LLVM folds.
    passes.addPass(createLowerToNvvmPass(gpu()));
    passes.addPass(mlir::createCSEPass());
    passes.addPass(createShortenLivesPass());
    passes.addPass(createRecomputeBehindLoopsPass());
    break;
  case StageId::Llvm:
    passes.addPass(request.target.isGpu() ? createNvvmToLlvmPass() : createLowerToLlvm());
    break;
  case StageId::Split:
    // A GPU's loops are unrolled over a thread's fragments: a second body would double code that
    // ptxas already takes longest for, and a branch that all threads take alike is free.
    addSplitPasses(passes, request.target.isGpu() ? LoopBodies::One : LoopBodies::Two);
    if (request.target.isGpu())
      passes.addPass(createMaxBeforeScalePass());
    // A host's rows are lanes of vectors, or loops over them: there a branch costs what it saves.
    passes.addPass(createTakeShortcuts({.branches = request.target.isGpu()}));
    if (!request.target.isGpu())
      passes.addPass(createChooseProducts({.vectorBytes = request.target.vectorBytes,
                                           .bf16Dot = request.target.hasBf16Dot,
                                           .pairSpeed = request.target.pairSpeed,
                                           .bf16Tiles = request.target.hasBf16Tiles,
                                           .f16Tiles = request.target.hasF16Tiles,
                                           .tileSpeed = request.target.tileSpeed,
                                           .microDepth = request.config.microDepth}));
    passes.addPass(mlir::createCSEPass());
    break;
  case StageId::Tile:
  case StageId::Specialised:
    tileStages()[*findStage(tileStages(), stage.name)].addPasses(passes);
    break;
  case StageId::Spec:
  case StageId::Ast:
  case StageId::Ir:
  case StageId::Code:
    break; // no passes of MLIR lead there
  }
  return passes.run(module);
}

} // namespace ringc
