// The passes of a GPU by their names, for ringc-opt.

#include "ringc/compiler/passes/gpu/NvvmStage.h"

#include "ringc/compiler/passes/gpu/LowerToNvvm.h"
#include "ringc/compiler/passes/gpu/PlaceTiles.h"
#include "ringc/compiler/passes/gpu/StageCopies.h"
#include "ringc/compiler/passes/gpu/TilePasses.h"
#include "ringc/compiler/spec/Target.h"

#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"

using namespace mlir;

namespace ringc {

namespace {

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

void registerNvvmPasses() {
  auto targetOf = [](const NvvmOptions &options) {
    return gpuTargetOf(gpuTarget("sm_" + std::to_string(options.sm)), options.warps,
                       options.nWarps);
  };
  PassPipelineRegistration<NvvmOptions>(
      "place-tiles", "Gives every tile a layout in registers or a place in shared memory",
      [=](OpPassManager &passes, const NvvmOptions &options) {
        passes.addPass(createPlaceTilesPass(targetOf(options)));
      });
  PassPipelineRegistration<NvvmOptions>(
      "stage-copies", "Starts copies and waits for them; gives buffers their places",
      [=](OpPassManager &passes, const NvvmOptions &options) {
        passes.addPass(createStageCopiesPass(targetOf(options)));
      });
  PassPipelineRegistration<NvvmOptions>("lower-to-nvvm",
                                        "Turns the kernel of staged tiles into a GPU's",
                                        [=](OpPassManager &passes, const NvvmOptions &options) {
                                          passes.addPass(createLowerToNvvmPass(targetOf(options)));
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
