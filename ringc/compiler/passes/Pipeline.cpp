#include "ringc/compiler/passes/Pipeline.h"

#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

namespace ringc {

namespace {

void toTile(OpPassManager &) {}

void toSpecialised(OpPassManager &passes) {
  // A score may name the derivative of a score that it calls: derive before calls are inlined. What
  // is derived is as simplified as what was written, and shares subexpressions with it once both
  // stand in the kernel.
  passes.addPass(createDeriveScoreGradient());
  passes.addPass(createSpecialise());
  passes.addPass(createCSEPass());
  passes.addPass(createSymbolDCEPass());
}

void toSplit(OpPassManager &passes) { addSplitPasses(passes, LoopBodies::Two); }

constexpr Stage stages[] = {
    {"tile", toTile},
    {"specialised", toSpecialised},
    {"split", toSplit},
};

} // namespace

void addSplitPasses(OpPassManager &passes, LoopBodies bodies) {
  // After specialise: the terms of a mask are plain only when its calls are inlined.
  passes.addPass(createSplitLoops({.bodies = bodies}));
  // Bodies may stand twice now, each time with another predicate; bounds of the visibility
  // functions fold.
  passes.addPass(createCanonicalizerPass());
  passes.addPass(createCSEPass());
  passes.addPass(createSymbolDCEPass());
}

ArrayRef<Stage> tileStages() { return stages; }

std::optional<size_t> findStage(ArrayRef<Stage> all, StringRef name) {
  const Stage *found = llvm::find_if(all, [&](const Stage &stage) { return stage.name == name; });
  return found == all.end() ? std::nullopt : std::optional<size_t>(found - all.begin());
}

void registerStages(ArrayRef<Stage> all) {
  for (size_t last = 0; last < all.size(); ++last) {
    ArrayRef<Stage> chosen = all.take_front(last + 1);
    std::string name = ("to-" + chosen.back().name).str();
    std::string description = ("The passes up to the stage " + chosen.back().name).str();
    registerPassPipeline(
        name, description,
        [chosen](OpPassManager &passes, StringRef, function_ref<LogicalResult(const Twine &)>) {
          for (const Stage &stage : chosen)
            stage.addPasses(passes);
          return success();
        },
        [](function_ref<void(const detail::PassOptions &)>) {});
  }
}

} // namespace ringc
