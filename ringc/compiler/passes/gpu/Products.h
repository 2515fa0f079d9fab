#pragma once

#include "ringc/compiler/passes/gpu/Thread.h"

namespace ringc::gpu {

/// block.product by mma.sync.
class Products : Thread {
public:
  explicit Products(ThreadCode &ofCode) : Thread(ofCode) {}
  LogicalResult lower(block::ProductOp op);

private:
  struct ProductStep {
    Value warp;                         ///< i32: where in a turn of the warps; null: at its start
    int64_t further;                    ///< constant
    std::optional<int64_t> inRegisters; ///< the pair of blocks of the left operand
  };
  llvm::SmallVector<ProductStep> productSteps(int64_t depth, bool computed);
  void multiply16(block::ProductOp op, const std::optional<Fragment> &computed, Fragment &sums);
  void multiplyF32(block::ProductOp op, const std::optional<Fragment> &computed, Fragment &sums);
  llvm::SmallVector<Value> matrices(const SharedTile &tile, SharedCoordinate row,
                                    SharedCoordinate column, bool transposed);
};

} // namespace ringc::gpu
