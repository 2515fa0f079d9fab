// lower-to-vector: a kernel of tiles becomes a function of loops over vectors and scratch memory.
//
//   before  func.func @k(%q: !tile.view<f32, ["Nq", "64"]>, ...) attributes {tile.kernel, ...}:
//   after split-loops and choose-products
//   after   func.func @k(%slots: !llvm.ptr, %p0: i64, %p1: i64, %head: i64,
//   %batch: i64, %scratch: !llvm.ptr) of scf, arith, vector
//           and llvm loads and stores; no tile operation is left. The module's attribute
//           tile.interface holds, as JSON, what a launch needs to know (CompiledKernel without its
//           code).
//   assumes one kernel in the module.

#include "ringc/compiler/passes/KernelInterface.h"
#include "ringc/compiler/passes/MaskExpression.h"
#include "ringc/compiler/passes/Passes.h"
#include "ringc/compiler/passes/StorePlaces.h"
#include "ringc/compiler/passes/cpu/Lowering.h"
#include "ringc/compiler/spec/KernelFile.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Iterators.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include <nlohmann/json.hpp>

using namespace mlir;

namespace ringc {

#define GEN_PASS_DEF_LOWERTOVECTOR
#include "ringc/compiler/passes/Passes.h.inc"

namespace {

/// Programs that add to the same windows would race.
bool addsElsewhere(func::FuncOp kernel) {
  WalkResult walked = kernel.walk([](tile::StoreOp store) {
    bool races = store.getAdd() && storePlacesOf(store).sharedAlongP0;
    return races ? WalkResult::interrupt() : WalkResult::advance();
  });
  return walked.wasInterrupted();
}

struct LowerToVector : impl::LowerToVectorBase<LowerToVector> {
  using LowerToVectorBase::LowerToVectorBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    func::FuncOp kernel = kernelOf(module);
    if (!kernel) {
      module.emitError("no function has the attribute tile.kernel");
      return signalPassFailure();
    }
    // A tile that nobody reads has no place that stays its own while others are computed beside it.
    kernel->walk<WalkOrder::PostOrder, ReverseIterator>([](Operation *op) {
      if (isOpTriviallyDead(op))
        op->erase();
    });
    cpu::CpuTarget target;
    target.vectorBytes = vectorBytes;
    target.registers = registers;
    target.hasBf16Dot = bf16Dot;
    target.hasBf16Tiles = bf16Tiles;
    target.hasF16Tiles = f16Tiles;
    target.hasAvx512 = vectorBytes == 64;
    target.microRows = microRows;
    target.microVectors = microVectors;
    CompiledKernel interface = interfaceOf(kernel);
    interface.mask = maskOf(kernel);
    interface.serialAxis0 = addsElsewhere(kernel);
    cpu::Lowering lowering(kernel, interface, target);
    FailureOr<func::FuncOp> entry = lowering.run();
    if (failed(entry))
      return signalPassFailure();
    interface.scratchBytes = lowering.scratchBytes();
    interface.carryBytes = lowering.carryBytes();
    std::string name = kernel.getName().str();
    for (auto function : llvm::make_early_inc_range(module.getOps<func::FuncOp>()))
      if (function != *entry)
        function.erase();
    entry->setName(name);
    module->setAttr("tile.interface", StringAttr::get(&getContext(), toJson(interface).dump()));
  }
};

} // namespace
} // namespace ringc
