#include "ringc/compiler/codegen/Ptx.h"

#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/IR/DiagnosticInfo.h"
#include "llvm/IR/DiagnosticPrinter.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Verifier.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/PassRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Transforms/InstCombine/InstCombine.h"
#include "llvm/Transforms/Scalar/EarlyCSE.h"
#include "llvm/Transforms/Scalar/LowerExpectIntrinsic.h"
#include "llvm/Transforms/Scalar/SimplifyCFG.h"

using namespace ringc;

static void initialiseNvptx() {
  static const bool initialised = [] {
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
    return true;
  }();
  (void)initialised;
}

static std::unique_ptr<llvm::TargetMachine> machineFor(const Target &target) {
  initialiseNvptx();
  std::string error;
  llvm::Triple triple(target.triple);
  const llvm::Target *found = llvm::TargetRegistry::lookupTarget(triple, error);
  if (!found)
    llvm::report_fatal_error(llvm::StringRef(error));
  llvm::TargetOptions options;
  return std::unique_ptr<llvm::TargetMachine>(
      found->createTargetMachine(triple, target.chip, target.features, options, std::nullopt,
                                 std::nullopt, llvm::CodeGenOptLevel::Default));
}

/// Loop-invariant code motion, and so every pipeline of LLVM's that has it, stretches the lives of
/// fragments and addresses until ptxas spills: nothing here moves code into another block. The
/// lowering leaves neither memory for SROA nor, behind MLIR's CSE, numbers for GVN.
static void simplify(llvm::Module &module, llvm::TargetMachine &machine) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager graph;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder(&machine);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(graph);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, graph, modules);
  llvm::FunctionPassManager passes;
  passes.addPass(llvm::LowerExpectIntrinsicPass());
  passes.addPass(llvm::EarlyCSEPass());
  passes.addPass(llvm::InstCombinePass());
  passes.addPass(llvm::SimplifyCFGPass());
  for (llvm::Function &function : module)
    if (!function.isDeclaration())
      passes.run(function, functions);
}

std::unique_ptr<llvm::Module>
ringc::translateForGpu(mlir::ModuleOp module, llvm::LLVMContext &context, const Target &target) {
  mlir::registerBuiltinDialectTranslation(*module.getContext());
  mlir::registerLLVMDialectTranslation(*module.getContext());
  mlir::registerNVVMDialectTranslation(*module.getContext());
  std::unique_ptr<llvm::Module> translated = mlir::translateModuleToLLVMIR(module, context);
  if (!translated)
    return nullptr;
  std::unique_ptr<llvm::TargetMachine> machine = machineFor(target);
  translated->setTargetTriple(machine->getTargetTriple());
  translated->setDataLayout(machine->createDataLayout());
  for (llvm::Function &function : *translated)
    if (!function.isDeclaration())
      function.addFnAttr(llvm::Attribute::NoUnwind);
  simplify(*translated, *machine);
  return translated;
}

namespace {

/// What LLVM's code generator adds to its pipeline, but for passes that rewrite addresses, which
/// are a register and a constant as the lowering makes them, and that move code out of loops. Loop
/// strength reduction adds counters to each loop, which cost registers; straight-line strength
/// reduction takes a third of the code generator's time.
class PassesInPlace : public llvm::legacy::PassManagerBase {
public:
  explicit PassesInPlace(llvm::legacy::PassManagerBase &taking) : passes(taking) {}

  void add(llvm::Pass *pass) override {
    static const llvm::StringSet<> left = {"loop-reduce",      "slsr",
                                           "nary-reassociate", "separate-const-offset-from-gep",
                                           "early-cse",        "early-machinelicm"};
    const llvm::PassInfo *info =
        llvm::PassRegistry::getPassRegistry()->getPassInfo(pass->getPassID());
    if (info && left.contains(info->getPassArgument()))
      delete pass;
    else
      passes.add(pass);
  }

private:
  llvm::legacy::PassManagerBase &passes;
};

/// Keeps the first error, where LLVM's own handler would end the process.
struct FirstError : llvm::DiagnosticHandler {
  explicit FirstError(std::string &kept) : text(kept) {}
  bool handleDiagnostics(const llvm::DiagnosticInfo &info) override {
    if (info.getSeverity() == llvm::DS_Error && text.empty()) {
      llvm::raw_string_ostream stream(text);
      llvm::DiagnosticPrinterRawOStream printer(stream);
      info.print(printer);
    }
    return true;
  }
  std::string &text;
};

} // namespace

llvm::Expected<std::string> ringc::emitPtx(llvm::Module &module, const Target &target) {
  std::string error;
  llvm::raw_string_ostream problems(error);
  if (llvm::verifyModule(module, &problems))
    return llvm::createStringError(error);
  std::unique_ptr<llvm::TargetMachine> machine = machineFor(target);
  llvm::LLVMContext &context = module.getContext();
  std::unique_ptr<llvm::DiagnosticHandler> before = context.getDiagnosticHandler();
  context.setDiagnosticHandler(std::make_unique<FirstError>(error));
  llvm::SmallString<0> text;
  llvm::raw_svector_ostream stream(text);
  llvm::legacy::PassManager passes;
  PassesInPlace kept(passes);
  if (machine->addPassesToEmitFile(kept, stream, nullptr, llvm::CodeGenFileType::AssemblyFile,
                                   /*DisableVerify=*/true))
    llvm::report_fatal_error("LLVM's code generator for NVPTX writes no text");
  passes.run(module);
  context.setDiagnosticHandler(std::move(before));
  if (!error.empty())
    return llvm::createStringError(error);
  return std::string(text);
}
