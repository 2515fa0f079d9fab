#pragma once

#include "mlir/IR/BuiltinOps.h"

#include <cstdint>
#include <map>
#include <string>
#include <utility>

namespace ringc {

struct Target;
struct TileConfig;

/// How much code a kernel will be, seen before its tiles are taken apart: about the time that LLVM,
/// and for a GPU ptxas, take for it. A unit is an addition of two numbers, or of two vectors.
///
/// On a GPU a thread's elements of a tile stand in the code one by one, on a CPU those of a few
/// vectors and two rows; a mask or score stands there for each of them, on a CPU once for tiles
/// seen in part and once for those seen whole.
struct CodeSize {
  int64_t total = 0;
  std::map<std::pair<std::string, unsigned>, int64_t> ofLines; ///< by file and line of the source

  /// What compiles in a few seconds.
  static int64_t limit(const Target &target);
};

/// Of a module behind split-loops.
CodeSize codeSizeOf(mlir::ModuleOp module, const Target &target, const TileConfig &config);

} // namespace ringc
