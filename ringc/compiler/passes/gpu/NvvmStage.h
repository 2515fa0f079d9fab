#pragma once

#include "ringc/compiler/passes/gpu/GpuTarget.h"

#include "mlir/Pass/Pass.h"

#include <memory>

namespace ringc {

struct Target;

/// The facts of a target that is a GPU, and the most warps of a block.
GpuTarget gpuTargetOf(const Target &target, int64_t warps, int64_t nWarps);

/// A pass over a module: within each block numbers are computed just before they are first read,
/// and summed as soon as they are there.
std::unique_ptr<mlir::Pass> createShortenLivesPass();

/// A pass over a module: what depends on the block's place in the grid, and is read behind a loop
/// but not in it, is computed there. Erases what nobody reads.
std::unique_ptr<mlir::Pass> createRecomputeBehindLoopsPass();

/// A pass over a module: what lower-to-nvvm makes becomes the LLVM and NVVM dialects alone, in
/// operations that have a translation to LLVM IR.
std::unique_ptr<mlir::Pass> createNvvmToLlvmPass();

/// `--max-before-scale`, `--place-tiles="sm=80 warps=4"`, `--stage-copies`, `--lower-to-nvvm`,
/// `--shorten-lives`,
/// `--recompute-behind-loops` and `--nvvm-to-llvm` for ringc-opt.
void registerNvvmPasses();

} // namespace ringc
