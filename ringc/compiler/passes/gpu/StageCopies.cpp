// stage-copies: copies are started and waited for, buffers get their places.
//
//   before  scf.for %i = %lower to %upper step %c64 iter_args(%o = %zero) {
//             %k = block.buffer : !block.buffer<64x128xbf16 in 64x128, swizzled>
//             block.copy %view[%i, %c0] to %k
//             %s = block.product left %q by %k ...
//   after   %k = block.buffer stages 2 at 16384 : !block.buffer<64x128xbf16 in 64x128, swizzled>
//           %first = block.commit                 // behind the copies of the first round
//           scf.for %i = ... iter_args(%o = %zero, %seen = ..., %stage = %c0, %copied = %first) {
//             block.ready %copied
//             %other = %c16384 - %stage
//             block.copy %view[%i + 64, %c0] to (block.stage %k[%other])
//             %next = block.commit
//             %s = block.product left %q by (block.stage %k[%stage]) ...
//
//   assumes place-tiles

#include "ringc/compiler/passes/gpu/StageCopies.h"

#include "ringc/compiler/passes/KernelInterface.h"
#include "ringc/compiler/passes/gpu/Staging.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace ringc {

namespace {

struct StageCopies : PassWrapper<StageCopies, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(StageCopies)

  explicit StageCopies(GpuTarget gpu) : target(std::move(gpu)) {}

  StringRef getArgument() const override { return "stage-copies"; }
  StringRef getDescription() const override {
    return "Starts copies and waits for them; gives buffers their places in shared memory";
  }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<arith::ArithDialect, block::BlockDialect, scf::SCFDialect>();
  }

  void runOnOperation() override {
    func::FuncOp kernel = kernelOf(getOperation());
    if (!kernel || !kernel->hasAttr(block::BlockDialect::warpsAttr)) {
      getOperation().emitError("has no kernel whose tiles have places");
      return signalPassFailure();
    }
    gpu::startEarly(kernel);
    OwningOpRef<func::FuncOp> without = kernel.clone();
    gpu::copyAhead(kernel, target);
    int64_t bytes = gpu::allocateShared(kernel);
    if (bytes > target.sharedBytes) {
      // The second copies of a loop's windows leave too little for what a branch of it reads.
      kernel.getBody().takeBody(without->getBody());
      bytes = gpu::allocateShared(kernel);
    }
    if (bytes > target.sharedBytes) {
      kernel.emitError() << "needs " << bytes << " bytes of shared memory for its tiles; sm_"
                         << target.sm << " has " << target.sharedBytes
                         << " for a block: choose smaller tiles";
      return signalPassFailure();
    }
    kernel->setAttr(block::BlockDialect::sharedBytesAttr,
                    OpBuilder(kernel).getI64IntegerAttr(bytes));
    gpu::placeBarriers(kernel);
  }

  GpuTarget target;
};

} // namespace

std::unique_ptr<Pass> createStageCopiesPass(const GpuTarget &target) {
  return std::make_unique<StageCopies>(target);
}

} // namespace ringc
