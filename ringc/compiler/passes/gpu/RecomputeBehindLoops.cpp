// recompute-behind-loops: what is computed from a block's place in the grid before a loop, and read
// again behind it but not in it, is computed again there.
//
//   before  %y = nvvm.read.ptx.sreg.ctaid.y        after   %y = nvvm.read.ptx.sreg.ctaid.y
//           %q = pointer of q at %y                        %q = pointer of q at %y
//           scf.for ... { %q }                             scf.for ... { %q }
//           %out = pointer of out at %y                    %z = asm volatile "mov.u32 %ctaid.y"
//                                                          %out = pointer of out at %z
//
//   assumes nothing; erases what nobody reads; last before LLVM, which would find that both are the
//   same, were the second not volatile
//
// A loop that needs all registers has none for the head and batch that the addresses behind it
// depend on: ptxas spills them. A loop that reads more than two addresses of its own keeps head and
// batch anyway, which are fewer numbers than what ptxas computes from them in each round.

#include "ringc/compiler/passes/gpu/NvvmStage.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Iterators.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace ringc {

namespace {

/// The special register that an operation reads; empty for any other.
StringRef gridPlace(Operation *op) {
  return llvm::TypeSwitch<Operation *, StringRef>(op)
      .Case<NVVM::BlockIdXOp>([](Operation *) { return "%ctaid.x"; })
      .Case<NVVM::BlockIdYOp>([](Operation *) { return "%ctaid.y"; })
      .Case<NVVM::BlockIdZOp>([](Operation *) { return "%ctaid.z"; })
      .Case<NVVM::GridDimXOp>([](Operation *) { return "%nctaid.x"; })
      .Case<NVVM::GridDimYOp>([](Operation *) { return "%nctaid.y"; })
      .Case<NVVM::GridDimZOp>([](Operation *) { return "%nctaid.z"; })
      .Default([](Operation *) { return ""; });
}

class BehindLoop {
public:
  BehindLoop(Block &ofBlock, scf::ForOp ofLoop)
      : block(ofBlock), loop(ofLoop), builder(ofLoop->getContext()) {
    builder.setInsertionPointAfter(loop);
  }

  void run() {
    SmallVector<Operation *> before;
    for (Operation *op = loop->getPrevNode(); op; op = op->getPrevNode())
      before.push_back(op);
    auto isOfLoop = [&](Operation *op) {
      return dependsOnPlace(op) && isa<LLVM::LLVMPointerType>(op->getResult(0).getType()) &&
             isReadInLoop(op);
    };
    if (llvm::count_if(before, isOfLoop) > 2)
      return;
    for (Operation *op : llvm::reverse(before)) {
      if (!dependsOnPlace(op) || isReadInLoop(op))
        continue;
      SmallVector<OpOperand *> behind;
      for (OpOperand &use : op->getUses())
        if (Operation *reader = block.findAncestorOpInBlock(*use.getOwner());
            reader && loop->isBeforeInBlock(reader) && !again.contains(use.getOwner()))
          behind.push_back(&use);
      for (OpOperand *use : behind)
        use->set(computedAgain(op)->getResult(0));
    }
  }

private:
  static bool isNumber(Operation *op) {
    return op && op->getNumResults() == 1 && op->getNumRegions() == 0 && isPure(op) &&
           (op->getResult(0).getType().isSignlessInteger() ||
            isa<LLVM::LLVMPointerType>(op->getResult(0).getType()));
  }

  bool dependsOnPlace(Operation *op) {
    if (!isNumber(op) || op->getBlock() != &block)
      return false;
    auto [known, isNew] = places.try_emplace(op, !gridPlace(op).empty());
    if (!isNew || known->second)
      return known->second;
    bool depends = llvm::any_of(op->getOperands(), [&](Value operand) {
      Operation *maker = operand.getDefiningOp();
      return maker && dependsOnPlace(maker);
    });
    return places[op] = depends;
  }

  bool isReadInLoop(Operation *op) {
    return llvm::any_of(op->getUsers(), [&](Operation *user) {
      return block.findAncestorOpInBlock(*user) == loop.getOperation();
    });
  }

  Operation *computedAgain(Operation *op) {
    if (Operation *made = copies.lookup(op))
      return made;
    Operation *made;
    if (StringRef place = gridPlace(op); !place.empty()) {
      made = LLVM::InlineAsmOp::create(
          builder, op->getLoc(), op->getResult(0).getType(), ValueRange(),
          ("mov.u32 $0, " + place + ";").str(), "=r", /*has_side_effects=*/true,
          /*is_align_stack=*/false, LLVM::TailCallKind::None, LLVM::AsmDialectAttr(), ArrayAttr());
    } else {
      SmallVector<Value> operands;
      for (Value operand : op->getOperands()) {
        Operation *maker = operand.getDefiningOp();
        operands.push_back(maker && dependsOnPlace(maker) ? computedAgain(maker)->getResult(0)
                                                          : operand);
      }
      made = builder.clone(*op);
      made->setOperands(operands);
    }
    again.insert(made);
    return copies[op] = made;
  }

  Block &block;
  scf::ForOp loop;
  OpBuilder builder;
  llvm::DenseMap<Operation *, bool> places; ///< whether a number depends on a place in the grid
  llvm::DenseMap<Operation *, Operation *> copies;
  llvm::DenseSet<Operation *> again;
};

struct RecomputeBehindLoops : PassWrapper<RecomputeBehindLoops, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(RecomputeBehindLoops)

  StringRef getArgument() const override { return "recompute-behind-loops"; }
  StringRef getDescription() const override {
    return "Computes addresses behind a loop there, from the block's place in the grid";
  }

  void runOnOperation() override {
    // What nobody reads, and only that, may still read the head in a loop.
    getOperation().walk<WalkOrder::PostOrder, ReverseIterator>([](Operation *op) {
      if (isOpTriviallyDead(op))
        op->erase();
    });
    getOperation().walk([](LLVM::LLVMFuncOp kernel) {
      for (Block &block : kernel.getBody()) {
        scf::ForOp last;
        for (auto loop : block.getOps<scf::ForOp>())
          last = loop;
        if (last)
          BehindLoop(block, last).run();
      }
    });
  }
};

} // namespace

std::unique_ptr<Pass> createRecomputeBehindLoopsPass() {
  return std::make_unique<RecomputeBehindLoops>();
}

} // namespace ringc
