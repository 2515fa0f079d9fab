// Who waits for whom. Shared memory is read by other threads than those that wrote it, so that
// between the two, and before it is written again, all of the block wait for each other.

#include "ringc/compiler/passes/gpu/Staging.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace ringc;
using namespace ringc::gpu;

namespace {

class Barriers {
public:
  explicit Barriers(func::FuncOp kernel) : builder(kernel.getContext()) { place(kernel.front()); }

private:
  struct UnderWay {
    Value buffer, token;
  };

  void place(Block &block) {
    SmallVector<UnderWay> underWayBefore = underWay;
    SmallVector<Value> unseenBefore = unseen;
    bool isFirst = true;
    for (Operation &op : llvm::make_early_inc_range(block)) {
      builder.setInsertionPoint(&op);
      loc = op.getLoc();
      if (auto buffer = dyn_cast<block::BufferOp>(op))
        beforeCopyTo(buffer, isFirst);
      else
        place(&op);
    }
    underWay = underWayBefore;
    unseen = unseenBefore;
  }

  void place(Operation *op) {
    if (auto copy = dyn_cast<block::CopyOp>(op))
      return commit(copy);
    if (auto ready = dyn_cast<block::ReadyOp>(op))
      return waited(ready.getBehind());
    if (isa<block::BarrierOp, block::ReduceOp>(op))
      return passed();
    if (auto collapse = dyn_cast<block::CollapseOp>(op))
      return collapse.getWords().empty() ? void() : passed();
    if (auto release = dyn_cast<block::ReleaseOp>(op)) {
      settled &= !readSince.contains(release.getBuffer());
      return;
    }
    if (auto share = dyn_cast<block::ShareOp>(op))
      return isa<block::WordsType>(share.getBuffer().getType()) ? tell(share, share.getBuffer())
                                                                : this->share(share);
    if (auto share = dyn_cast<block::ShareSeenOp>(op))
      return tell(share, share.getWords());
    if (auto store = dyn_cast<block::StoreSharedOp>(op)) {
      barrier();
      readSince.insert(store.getBuffer());
      settled = false;
      return;
    }
    if (auto product = dyn_cast<block::ProductOp>(op))
      return beforeProduct(product);
    if (auto loop = dyn_cast<scf::ForOp>(op))
      return placeInLoop(loop);
    if (isa<scf::IfOp, scf::IndexSwitchOp>(op))
      return placeInWays(op);
    for (Region &region : op->getRegions())
      for (Block &inner : region)
        place(inner);
  }

  /// What the round before read from a buffer has been read.
  void beforeCopyTo(block::BufferOp buffer, bool &isFirst) {
    for (Operation *user : buffer->getUsers()) {
      auto copy = dyn_cast<block::CopyOp>(user);
      if (!copy || copy.getBuffer().getDefiningOp() != buffer || !isInLoop(copy))
        continue;
      if (isLate(copy) || isFirst)
        barrier();
      isFirst &= isLate(copy);
      return;
    }
  }

  /// A copy is a group of its own, but those of a round, which end with one.
  void commit(block::CopyOp copy) {
    if (copy.getBuffer().getDefiningOp<block::StageOp>())
      return;
    builder.setInsertionPointAfter(copy);
    Value token =
        block::CommitOp::create(builder, loc, block::TokenType::get(builder.getContext()));
    underWay.push_back({copy.getBuffer(), token});
  }

  /// Until all threads see what has been copied for a product. Copies arrive in order, so all
  /// before them are there too.
  void beforeProduct(block::ProductOp product) {
    auto reads = [&](Value buffer) {
      return buffer == product.getLeft() || buffer == product.getRight();
    };
    size_t there = 0;
    for (auto [at, each] : llvm::enumerate(underWay))
      if (reads(each.buffer))
        there = at + 1;
    if (there) {
      size_t behind = underWay.size() - there;
      block::ReadyOp::create(builder, loc, underWay[there - 1].token, Value(), behind);
      waited(behind);
    }
    if (llvm::any_of(unseen, reads))
      barrier();
    for (Value buffer : {Value(product.getLeft()), Value(product.getRight())})
      if (buffer)
        readSince.insert(buffer);
  }

  /// What was here before has been read.
  void share(block::ShareOp share) {
    if (!settled)
      barrier();
    unseen.push_back(share.getBuffer());
  }

  /// Words are read as soon as they are written, and by all threads.
  void tell(Operation *op, Value words) {
    bool areNames = llvm::any_of(words.getUsers(), [&](Operation *user) {
      auto copy = dyn_cast<block::CopyOp>(user);
      return isa<block::LoadOp, block::StoreOp, block::StoreSharedOp>(user) ||
             (copy && copy.getRows() == words);
    });
    if (areNames)
      barrier();
    builder.setInsertionPointAfter(op);
    barrier();
    settled &= !areNames;
  }

  void placeInLoop(scf::ForOp loop) {
    SmallVector<UnderWay> before = underWay;
    settled = false; // what the round before has read
    place(*loop.getBody());
    underWay = before;
    settled = false;
  }

  /// A barrier in one way of a branch says nothing of the others.
  void placeInWays(Operation *choice) {
    bool before = settled, after = true;
    llvm::SetVector<Value> readBefore = readSince, readAfter = readSince;
    for (Region &region : choice->getRegions()) {
      settled = before;
      readSince = readBefore;
      if (!region.empty())
        place(region.front());
      after &= settled;
      readAfter.insert(readSince.begin(), readSince.end());
    }
    settled = after;
    readSince = readAfter;
  }

  void barrier() {
    block::BarrierOp::create(builder, loc);
    passed();
  }
  void passed() {
    settled = true;
    unseen.clear();
    readSince.clear();
  }
  void waited(size_t behind) {
    passed();
    if (behind < underWay.size())
      underWay.erase(underWay.begin(), underWay.end() - static_cast<ptrdiff_t>(behind));
  }

  OpBuilder builder;
  Location loc = builder.getUnknownLoc();
  SmallVector<UnderWay> underWay;   ///< oldest first
  SmallVector<Value> unseen;        ///< shared tiles that other threads may not see yet
  llvm::SetVector<Value> readSince; ///< buffers, since all threads have waited for each other
  bool settled = true; ///< all have, since what this round, or code before, has read and given back
};

} // namespace

void ringc::gpu::placeBarriers(func::FuncOp kernel) { Barriers{kernel}; }
