#include "compiler/passes/Stages.h"

#include "compiler/passes/Passes.h"
#include "compiler/passes/Pipeline.h"
#include "runtime/Error.h"

#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Transforms/Passes.h"

#include <algorithm>

namespace ringc {

const std::vector<StageName> &allStages() {
  static const std::vector<StageName> stages = {
      {StageId::Spec, "spec", "json"},   {StageId::Ast, "ast", "tile"},
      {StageId::Tile, "tile", "mlir"},   {StageId::Specialised, "specialised", "mlir"},
      {StageId::Split, "split", "mlir"}, {StageId::Vector, "vector", "mlir"},
      {StageId::Llvm, "llvm", "mlir"},   {StageId::Ir, "ir", "ll"},
      {StageId::Code, "code", "o"}};
  return stages;
}

static std::string names() {
  std::string all;
  for (const StageName &stage : allStages())
    all += (all.empty() ? "" : ", ") + std::string(stage.name);
  return all;
}

std::string fileNameOf(StageId id) {
  const StageName &stage = allStages()[static_cast<size_t>(id)];
  std::string number = std::to_string(static_cast<int>(id));
  return std::string(2 - number.size(), '0') + number + "." + stage.name + "." + stage.suffix;
}

StageId stageCalled(const std::string &name, const char *argument) {
  for (const StageName &stage : allStages())
    if (name == stage.name)
      return stage.id;
  throw InputError(argument, name, names());
}

StageId stageOfFile(const std::string &path) {
  std::string file = path.substr(path.find_last_of('/') + 1);
  for (const StageName &stage : allStages()) {
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
                   "a file called as --dump calls it, from " + fileNameOf(StageId::Tile) + " to " +
                       fileNameOf(StageId::Ir));
}

std::unique_ptr<mlir::MLIRContext> makeContext() {
  mlir::DialectRegistry registry;
  registry.insert<tile::TileDialect, mlir::arith::ArithDialect, mlir::cf::ControlFlowDialect,
                  mlir::func::FuncDialect, mlir::LLVM::LLVMDialect, mlir::math::MathDialect,
                  mlir::scf::SCFDialect, mlir::vector::VectorDialect>();
  mlir::registerBuiltinDialectTranslation(registry);
  mlir::registerLLVMDialectTranslation(registry);
  auto context =
      std::make_unique<mlir::MLIRContext>(registry, mlir::MLIRContext::Threading::DISABLED);
  context->loadAllAvailableDialects();
  return context;
}

mlir::LogicalResult runStage(mlir::ModuleOp module, StageId id, const KernelRequest &request) {
  mlir::PassManager passes(module.getContext());
  passes.enableVerifier(id <= StageId::Vector);
  if (id == StageId::Vector) {
    LowerToVectorOptions options;
    options.vectorBytes = request.target.vectorBytes;
    options.registers = request.target.vectorRegisters;
    options.bf16Dot = request.target.hasBf16Dot;
    options.microRows = request.config.microRows;
    options.microVectors = request.config.microVectors;
    passes.addPass(createLowerToVector(options));
    passes.addPass(mlir::createCSEPass());
  } else if (id == StageId::Llvm) {
    passes.addPass(createLowerToLlvm());
  } else {
    auto index = findStage(tileStages(), allStages()[static_cast<size_t>(id)].name);
    tileStages()[*index].addPasses(passes);
  }
  return passes.run(module);
}

} // namespace ringc
