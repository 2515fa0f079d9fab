#include "ringc/compiler/passes/gpu/Staging.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace ringc;
using namespace ringc::gpu;

static bool isScalar(Operation &op) {
  bool makesTiles = llvm::any_of(op.getResultTypes(), tile::isTile);
  if (op.getNumRegions() || makesTiles || isa<block::BlockDialect>(op.getDialect()))
    return false;
  return !isa<tile::TileDialect>(op.getDialect()) ||
         isa<tile::ProgramIdOp, tile::OwnIndexOp, tile::ExtentOp, tile::VisibilityOp,
             tile::ElementOp, tile::SliceOp, tile::ShiftOp, tile::RandomOp>(op);
}

/// Moves an operation behind those that have been moved before, unless it needs one that has not.
namespace {
class Front {
public:
  explicit Front(Block &ofBlock) : block(ofBlock) {}

  bool reaches(Operation &op) const {
    return llvm::all_of(op.getOperands(), [&](Value operand) {
      Operation *maker = operand.getDefiningOp();
      return !maker || maker->getBlock() != &block || moved.contains(maker);
    });
  }
  void move(Operation *op) {
    if (last)
      op->moveAfter(last);
    else
      op->moveBefore(&block, block.begin());
    last = op;
    moved.insert(op);
  }

private:
  Block &block;
  Operation *last = nullptr;
  llvm::DenseSet<Operation *> moved;
};
} // namespace

static void startEarly(Block &block) {
  Front front(block);
  for (Operation &op : llvm::make_early_inc_range(block.without_terminator()))
    if (isScalar(op) && front.reaches(op))
      front.move(&op);
  for (auto copy : llvm::make_early_inc_range(block.getOps<block::CopyOp>()))
    if (!isLate(copy)) {
      front.move(copy.getBuffer().getDefiningOp());
      front.move(copy);
    }
  for (Operation &op : block)
    for (Region &region : op.getRegions())
      for (Block &inner : region)
        startEarly(inner);
}

void ringc::gpu::startEarly(func::FuncOp kernel) { ::startEarly(kernel.front()); }
