// nvvm-to-llvm: scf, arith, math and vector become the LLVM dialect; NVVM operations that stand for
// PTX text become inline assembly.
//
//   before  what lower-to-nvvm makes
//   after   one llvm.func of the LLVM and NVVM dialects, each operation with a translation

#include "ringc/compiler/passes/gpu/NvvmStage.h"

#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/FuncToLLVM/ConvertFuncToLLVM.h"
#include "mlir/Conversion/IndexToLLVM/IndexToLLVM.h"
#include "mlir/Conversion/LLVMCommon/ConversionTarget.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/NVVMToLLVM/NVVMToLLVM.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVM.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Transforms/DialectConversion.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;

namespace ringc {

namespace {

struct NvvmToLlvm : PassWrapper<NvvmToLlvm, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(NvvmToLlvm)

  StringRef getArgument() const override { return "nvvm-to-llvm"; }
  StringRef getDescription() const override {
    return "Turns what lower-to-nvvm makes into the LLVM and NVVM dialects";
  }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<cf::ControlFlowDialect, LLVM::LLVMDialect, math::MathDialect, NVVM::NVVMDialect,
                    vector::VectorDialect>();
  }

  void runOnOperation() override {
    ModuleOp module = getOperation();
    if (failed(approximate(module)) || failed(lowerLoops(module)) || failed(convert(module)))
      signalPassFailure();
  }

private:
  /// tanh and log2 have no exact instruction, and no library to call.
  LogicalResult approximate(ModuleOp module) {
    SmallVector<Operation *> polynomials;
    module.walk([&](Operation *op) {
      if (isa<math::TanhOp, math::Log2Op>(op))
        polynomials.push_back(op);
    });
    if (polynomials.empty())
      return success();
    RewritePatternSet patterns(&getContext());
    populateMathPolynomialApproximationPatterns(patterns, [](StringRef name) {
      return name == math::TanhOp::getOperationName() || name == math::Log2Op::getOperationName();
    });
    return applyOpPatternsGreedily(polynomials, std::move(patterns));
  }

  LogicalResult lowerLoops(ModuleOp module) {
    RewritePatternSet patterns(&getContext());
    populateSCFToControlFlowConversionPatterns(patterns);
    ConversionTarget target(getContext());
    target.addIllegalDialect<scf::SCFDialect>();
    target.markUnknownOpDynamicallyLegal([](Operation *) { return true; });
    return applyPartialConversion(module, target, std::move(patterns));
  }

  LogicalResult convert(ModuleOp module) {
    LLVMTypeConverter converter(&getContext());
    RewritePatternSet patterns(&getContext());
    index::populateIndexToLLVMConversionPatterns(converter, patterns);
    arith::populateArithToLLVMConversionPatterns(converter, patterns);
    populateMathToLLVMConversionPatterns(converter, patterns);
    populateVectorToLLVMConversionPatterns(converter, patterns);
    cf::populateControlFlowToLLVMConversionPatterns(converter, patterns);
    populateFuncToLLVMConversionPatterns(converter, patterns);
    populateNVVMToLLVMConversionPatterns(patterns);
    LLVMConversionTarget target(getContext());
    target.addLegalOp<ModuleOp>();
    target.addDynamicallyLegalDialect<NVVM::NVVMDialect>([](Operation *op) {
      auto text = dyn_cast<NVVM::BasicPtxBuilderInterface>(op);
      return !text || text.hasIntrinsic();
    });
    return applyFullConversion(module, target, std::move(patterns));
  }
};

} // namespace

std::unique_ptr<Pass> createNvvmToLlvmPass() { return std::make_unique<NvvmToLlvm>(); }

} // namespace ringc
