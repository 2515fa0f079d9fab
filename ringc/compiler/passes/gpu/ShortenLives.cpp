// shorten-lives: numbers are computed just before they are first read, and summed as soon as they
// are there.
//
//   before  operation by operation: every element of a tile is computed by one operation of tiles
//           before any is read by the next
//   after   element by element: position, comparison, selection; exponential, sum, packed operand
//
//   before  %at = arith.addi %a, %b        after   scf.if %begins { %at = arith.addi %a, %b ... }
//           scf.if %begins { ... %at }             scf.for ... { }
//           scf.for ... { }                        scf.if %ends { %at = arith.addi %a, %b ... }
//           scf.if %ends { ... %at }
//
//   assumes nothing; moves only what is computed without effects, within its block, or into the
//   branches that alone read it where a loop stands between
//
// Neither LLVM nor ptxas reorders that far: conditions of 128 elements, or a tile's numbers beside
// the same numbers packed, which live at once where one at a time would do, are spilled. What makes
// one of two numbers (a sum, a maximum) does the opposite of everything else: late, it would keep
// both alive.

#include "ringc/compiler/passes/gpu/NvvmStage.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;

namespace ringc {

namespace {

/// Intrinsics of numbers alone; MLIR takes every intrinsic for one with effects. Exchanges between
/// lanes are among them: a block of the code is passed by all lanes or by none.
bool isArithmetic(LLVM::CallIntrinsicOp call) {
  static const llvm::StringSet<> names = {
      "llvm.nvvm.ex2.approx.ftz.f", "llvm.nvvm.lg2.approx.f",      "llvm.nvvm.div.full",
      "llvm.nvvm.ff2bf16x2.rn",     "llvm.nvvm.ff2f16x2.rn",       "llvm.nvvm.shfl.sync.bfly.f32",
      "llvm.nvvm.rcp.approx.ftz.f", "llvm.nvvm.shfl.sync.bfly.i32"};
  return names.contains(call.getIntrin());
}

/// One block on its way into the new order.
class Reordered {
public:
  explicit Reordered(Block &ofBlock) : block(ofBlock) {}

  void run() {
    SmallVector<Operation *> inPlace, movable;
    for (Operation &op : block)
      (isMovable(&op) ? movable : inPlace).push_back(&op);
    for (Operation *op : inPlace) {
      op->walk([&](Operation *reader) {
        for (Value operand : reader->getOperands())
          placeMaker(operand, op);
      });
      if (op->hasTrait<OpTrait::IsTerminator>()) // before it what only other blocks read
        for (Operation *rest : movable)
          place(rest, op);
      placed.insert(op);
    }
  }

private:
  /// A division is undefined for some numbers, but in its block it comes about all the same.
  static bool isMovable(Operation *op) {
    if (auto call = dyn_cast<LLVM::CallIntrinsicOp>(op))
      return isArithmetic(call);
    return op->getNumResults() && op->getNumRegions() == 0 && isMemoryEffectFree(op);
  }
  static bool joins(Operation *op) { return isa<arith::AddFOp, arith::MaxNumFOp>(op); }

  bool isThere(Value value) {
    Operation *maker = value.getDefiningOp();
    return !maker || maker->getBlock() != &block || placed.contains(maker);
  }

  void placeMaker(Value value, Operation *before) {
    Operation *maker = value.getDefiningOp();
    if (maker && maker->getBlock() == &block && isMovable(maker))
      place(maker, before);
  }

  void place(Operation *op, Operation *before) {
    if (placed.contains(op))
      return;
    for (Value operand : op->getOperands())
      placeMaker(operand, before);
    if (!placed.insert(op).second) // as what joins one of its operands with another
      return;
    op->moveBefore(before);
    for (Operation *reader : op->getUsers())
      if (joins(reader) && reader->getBlock() == &block && !placed.contains(reader) &&
          llvm::all_of(reader->getOperands(), [&](Value each) { return isThere(each); }))
        place(reader, before);
  }

  Block &block;
  llvm::DenseSet<Operation *> placed;
};

/// Addresses and counts that branches alone read, some of them behind a loop, are computed in each
/// of these: in none of them they would be kept through the loop.
class BesideLoops {
public:
  explicit BesideLoops(Block &ofBlock) : block(ofBlock) {
    for (Operation &op : block)
      if (isa<scf::ForOp>(op))
        lastLoop = &op;
  }

  void run() {
    if (!lastLoop)
      return;
    // Readers before what they read, so that all of an address goes along.
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
      if (isNumber(op) && branchesAloneRead(op))
        computeInBranches(op);
  }

private:
  static bool isNumber(Operation &op) {
    return op.getNumResults() == 1 && op.getNumRegions() == 0 && isPure(&op) &&
           (op.getResult(0).getType().isSignlessInteger() ||
            isa<LLVM::LLVMPointerType>(op.getResult(0).getType()));
  }

  Operation *readerIn(OpOperand &use) { return block.findAncestorOpInBlock(*use.getOwner()); }

  bool branchesAloneRead(Operation &op) {
    bool behind = false;
    for (OpOperand &use : op.getUses()) {
      Operation *reader = readerIn(use);
      if (reader == use.getOwner() || !isa<scf::IfOp, scf::IndexSwitchOp>(reader))
        return false;
      behind |= lastLoop->isBeforeInBlock(reader);
    }
    return behind && op.isBeforeInBlock(lastLoop);
  }

  void computeInBranches(Operation &op) {
    llvm::DenseMap<Region *, Operation *> made;
    for (OpOperand &use : llvm::make_early_inc_range(op.getUses())) {
      Region *region = use.getOwner()->getParentRegion();
      while (region->getParentOp()->getBlock() != &block)
        region = region->getParentOp()->getParentRegion();
      Operation *&copy = made[region];
      if (!copy) {
        copy = op.clone();
        region->front().push_front(copy);
      }
      use.set(copy->getResult(0));
    }
    op.erase();
  }

  Block &block;
  Operation *lastLoop = nullptr;
};

struct ShortenLives : PassWrapper<ShortenLives, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ShortenLives)

  StringRef getArgument() const override { return "shorten-lives"; }
  StringRef getDescription() const override {
    return "Computes numbers just before they are first read, and sums them as soon as they are "
           "there";
  }

  void runOnOperation() override {
    getOperation().walk([](Operation *op) {
      for (Region &region : op->getRegions())
        for (Block &block : region)
          if (block.mightHaveTerminator()) {
            BesideLoops(block).run();
            Reordered(block).run();
          }
    });
  }
};

} // namespace

std::unique_ptr<Pass> createShortenLivesPass() { return std::make_unique<ShortenLives>(); }

} // namespace ringc
