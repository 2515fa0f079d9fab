#pragma once

#include "ringc/compiler/passes/Passes.h"

#include "mlir/Pass/PassManager.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

#include <optional>

namespace ringc {

/// A point of a compile at which the IR has a name, and the passes that lead there from the stage
/// before.
struct Stage {
  llvm::StringLiteral name;
  void (*addPasses)(mlir::OpPassManager &);
};

/// `tile`, as irgen makes it, `specialised` and `split`.
llvm::ArrayRef<Stage> tileStages();

/// The passes of `split`, with as many bodies as the target wants: the only stage of tiles that
/// asks.
void addSplitPasses(mlir::OpPassManager &passes, LoopBodies bodies);

/// The position of the stage called `name`.
std::optional<size_t> findStage(llvm::ArrayRef<Stage> stages, llvm::StringRef name);

/// `--to-<stage>` for ringc-opt: the passes from `tile` to that stage.
void registerStages(llvm::ArrayRef<Stage> stages);

} // namespace ringc
