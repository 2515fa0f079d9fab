// lower-to-nvvm: a kernel of tiles becomes the function of a block's threads.
//
//   before  func.func @k(%q: !tile.view<bf16, ["Nq", "64"]>, ...) attributes {tile.kernel, ...}:
//           after stage-copies
//   after   llvm.func @k(%slots: !llvm.ptr {llvm.byval}) attributes {nvvm.kernel, nvvm.reqntid} of
//           scf, arith, LLVM and NVVM operations; no tile operation is left
//   assumes one kernel in the module

#include "ringc/compiler/passes/gpu/LowerToNvvm.h"

#include "ringc/compiler/passes/KernelInterface.h"
#include "ringc/compiler/passes/gpu/Lowering.h"
#include "ringc/compiler/spec/KernelFile.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/BuiltinOps.h"

#include <nlohmann/json.hpp>

using namespace mlir;

namespace ringc {

namespace {

struct LowerToNvvm : PassWrapper<LowerToNvvm, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(LowerToNvvm)

  explicit LowerToNvvm(GpuTarget gpu) : target(std::move(gpu)) {}

  StringRef getArgument() const override { return "lower-to-nvvm"; }
  StringRef getDescription() const override { return "Turns the kernel of tiles into a GPU's"; }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<arith::ArithDialect, LLVM::LLVMDialect, math::MathDialect, NVVM::NVVMDialect,
                    scf::SCFDialect>();
  }

  void runOnOperation() override {
    ModuleOp module = getOperation();
    func::FuncOp function = kernelOf(module);
    auto described = module->getAttrOfType<StringAttr>("tile.interface");
    auto bytes = function
                     ? function->getAttrOfType<IntegerAttr>(block::BlockDialect::sharedBytesAttr)
                     : IntegerAttr();
    if (!bytes || !described) {
      module.emitError("has no kernel whose copies have been staged");
      return signalPassFailure();
    }
    try {
      kernel = compiledKernelFromJson(nlohmann::json::parse(described.getValue().str()));
    } catch (const std::exception &error) {
      module.emitError("tile.interface: ") << error.what();
      return signalPassFailure();
    }
    gpu::ThreadCode code(function, kernel, target);
    gpu::Lowering lowering(code);
    FailureOr<func::FuncOp> entry = lowering.run();
    if (failed(entry))
      return signalPassFailure();
    kernel.threads = lowering.threads();
    kernel.sharedBytes = bytes.getInt();
    kernel.carryBytes = lowering.carryBytes();
    sumsOfThread = lowering.sumsOfThread();
    LLVM::LLVMFuncOp made = kernelFrom(*entry, function.getName());
    for (auto other : llvm::make_early_inc_range(module.getOps<func::FuncOp>()))
      other.erase();
    made.setName(kernel.entry);
    module->setAttr("tile.interface", StringAttr::get(&getContext(), toJson(kernel).dump()));
  }

  /// The entry as a function that a GPU may be launched with.
  LLVM::LLVMFuncOp kernelFrom(func::FuncOp entry, StringRef name) {
    OpBuilder builder(entry);
    Location loc = entry.getLoc();
    auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(&getContext()),
                                            entry.getFunctionType().getInputs());
    auto made = LLVM::LLVMFuncOp::create(builder, loc, (name + ".kernel").str(), type);
    made.setArgAttrsAttr(entry.getArgAttrsAttr());
    made.getBody().takeBody(entry.getBody());
    Operation *end = made.getBody().back().getTerminator();
    builder.setInsertionPoint(end);
    LLVM::ReturnOp::create(builder, loc, ValueRange());
    end->erase();
    made->setAttr(NVVM::NVVMDialect::getKernelFuncAttrName(), builder.getUnitAttr());
    made->setAttr(NVVM::NVVMDialect::getReqntidAttrName(),
                  builder.getDenseI32ArrayAttr({static_cast<int32_t>(kernel.threads), 1, 1}));
    if (savesInVain())
      made->setAttr(NVVM::NVVMDialect::getMaxnregAttrName(), builder.getI32IntegerAttr(253));
    return made;
  }

  /// Whether ptxas, which does not know how much shared memory a block asks for, would save
  /// registers, and spill, for blocks that a multiprocessor has no room for: by its shared memory,
  /// or because their sums alone need more. It is given all of them then, 253: with more or fewer
  /// ptxas spills single numbers of one kernel or another (the gate of tests/gpu holds it to none).
  bool savesInVain() const {
    constexpr int64_t registers = 65536, most = 256; // of a multiprocessor; of a thread, allocated
    constexpr int64_t reserved = 1024;               // bytes that each block has besides its own
    int64_t blocks = (target.sharedBytes + reserved) / (kernel.sharedBytes + reserved);
    if (sumsOfThread > 0)
      blocks = std::min(blocks, registers / (kernel.threads * sumsOfThread));
    return blocks <= registers / (kernel.threads * most);
  }

  int64_t sumsOfThread = 0;
  GpuTarget target;
  CompiledKernel kernel;
};

} // namespace

std::unique_ptr<Pass> createLowerToNvvmPass(const GpuTarget &target) {
  return std::make_unique<LowerToNvvm>(target);
}

} // namespace ringc
