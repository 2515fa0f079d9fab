#include "ringc/compiler/passes/cpu/BlockSchedule.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace ringc;
using namespace ringc::cpu;

static bool touchesTiles(Operation *op) {
  auto isTileValue = [](Value value) { return tile::isTile(value.getType()); };
  return op->getNumRegions() || llvm::any_of(op->getOperands(), isTileValue) ||
         llvm::any_of(op->getResults(), isTileValue);
}

static bool isRegionOp(Operation *op) { return op->getNumRegions() || isa<tile::ResumeOp>(op); }

bool BlockSchedule::isElementwise(Operation *op) const {
  return op &&
         !isa<tile::LoadOp, tile::StoreOp, tile::DotOp, tile::TransposeOp, tile::ReduceOp>(op) &&
         !isRegionOp(op) && !op->hasTrait<OpTrait::IsTerminator>();
}

static ArrayRef<int64_t> shapeOf(Value tile) {
  return cast<RankedTensorType>(tile.getType()).getShape();
}

/// Somebody but a product reads this transpose.
static bool isCopied(Operation *transpose) {
  return llvm::any_of(transpose->getUsers(), [](Operation *user) {
    return !isa<tile::DotOp, tile::TransposeOp, tile::LoadOp>(user);
  });
}

BlockSchedule::BlockSchedule(Lowering &l, Block &b, ArrayRef<Value> o, ArrayRef<Buffer> d)
    : lowering(l), block(b), owners(o), destinations(d) {
  for (Operation &op : block.without_terminator())
    if (touchesTiles(&op) && !(op.getNumResults() == 1 && isSplat(op.getResult(0))))
      tileOps.push_back(&op);
  assignPhases();
  collectUses();
  chooseDestinations();
}

void BlockSchedule::assignPhases() {
  int floor = 0;
  for (Operation *op : tileOps) {
    bool nest = isElementwise(op) || isa<tile::ReduceOp>(op);
    ArrayRef<int64_t> shape;
    if (nest)
      shape = shapeOf(isa<tile::ReduceOp>(op) ? op->getOperand(0) : op->getResult(0));
    int at = floor;
    for (Value operand : op->getOperands()) {
      if (!tile::isTile(operand.getType()) || isSplat(operand))
        continue;
      Operation *maker = operand.getDefiningOp();
      auto found = maker ? phase.find(maker) : phase.end();
      if (!maker || found == phase.end())
        continue;
      bool together = nest && isElementwise(maker) && shapeOf(operand) == shape;
      // For a product a transpose is a way of reading: it takes no time of its own. For others it
      // is a copy of what a nest has made.
      bool isMadeByNest = isElementwise(maker) || isa<tile::ReduceOp>(maker);
      together |= isa<tile::TransposeOp>(op) && !(isMadeByNest && isCopied(op));
      at = std::max(at, found->second + (together ? 0 : 1));
    }
    if (isRegionOp(op) || isa<tile::StoreOp>(op))
      at = std::max(at, last + 1);
    phase[op] = at;
    last = std::max(last, at);
    if (isRegionOp(op) || isa<tile::StoreOp>(op))
      floor = at + 1;
  }
  last = std::max(last, floor);
}

int BlockSchedule::phaseIn(Operation *user) const {
  Operation *here = block.findAncestorOpInBlock(*user);
  assert(here && "a use outside the block of its value");
  if (auto load = dyn_cast<tile::LoadOp>(here))
    if (tile::DotOp reader = lowering.streamedInto(load))
      here = reader;
  return here == block.getTerminator() ? last : phase.lookup(here);
}

void BlockSchedule::addUse(Value tile, int at) {
  int &use = lastUses[tile];
  use = std::max(use, at);
}

void BlockSchedule::require(Value tile, Format format) {
  // A nest stores along its lanes; who reads along the other axis takes a copy.
  if (isElementwise(tile.getDefiningOp()) && format.lane != lowering.lanes.laneAxis(tile))
    format = lowering.plainFormat(tile);
  auto &wanted = formats[tile];
  if (!llvm::is_contained(wanted, format))
    wanted.push_back(format);
}

bool BlockSchedule::isCheap(Value tile, int depth) const {
  Operation *op = tile.getDefiningOp();
  if (isSplat(tile) || !op || op->getBlock() != &block || !isElementwise(op) || formats.count(tile))
    return true;
  if (depth == 0 || !isa<arith::AddFOp, arith::SubFOp, arith::MulFOp, arith::NegFOp,
                         tile::BroadcastOp, arith::ExtFOp>(op))
    return false;
  return llvm::all_of(op->getOperands(),
                      [&](Value operand) { return isCheap(operand, depth - 1); });
}

/// What `tile` is computed again from in phase `at` has to be there still.
void BlockSchedule::extendLeaves(Value tile, int at) {
  Operation *op = tile.getDefiningOp();
  auto [known, isNew] = extendedTo.try_emplace(tile, at);
  if (isSplat(tile) || (!isNew && known->second >= at))
    return;
  known->second = at;
  addUse(tile, at);
  if (!op || op->getBlock() != &block || !isElementwise(op) || formats.count(tile))
    return;
  for (Value operand : op->getOperands())
    if (tile::isTile(operand.getType()))
      extendLeaves(operand, at);
}

/// `user`, elementwise or a reduction, reads `tile` in phase `at`.
void BlockSchedule::useElementwise(Value tile, Operation *user, int at) {
  Operation *maker = tile.getDefiningOp();
  bool here = maker && maker->getBlock() == &block && isElementwise(maker);
  if (here && user->getBlock() == &block && phase.lookup(maker) == at) {
    Value shape = isa<tile::ReduceOp>(user) ? user->getOperand(0) : user->getResult(0);
    if (shapeOf(shape) == shapeOf(tile))
      return addUse(tile, at);
  }
  require(tile, lowering.plainFormat(tile));
  addUse(tile, at);
}

void BlockSchedule::collectUses() {
  SmallVector<std::tuple<Value, Operation *, int>>
      later; // elementwise reads in a later phase: stored or computed again
  auto collect = [&](Value made) {
    if (isSplat(made))
      return;
    SmallVector<Value> aliases{made};
    for (size_t i = 0; i < aliases.size(); ++i)
      for (OpOperand &use : aliases[i].getUses()) {
        Operation *user = use.getOwner();
        int at = phaseIn(user);
        if (auto transpose = dyn_cast<tile::TransposeOp>(user)) {
          aliases.push_back(transpose.getResult());
          continue;
        }
        if (auto dot = dyn_cast<tile::DotOp>(user)) {
          addUse(made, at);
          Lowering::DotOperands operands = lowering.operandsOf(dot);
          if (use.getOperandNumber() == 2) {
            require(made, lowering.plainFormat(made));
          } else {
            auto load = made.getDefiningOp<tile::LoadOp>();
            if (load && lowering.streamedInto(load) == dot)
              continue;
            if (use.get() ==
                (lowering.lanes.laneAxis(dot.getResult()) == 1 ? dot.getB() : dot.getA()))
              require(made, operands.lanesFormat);
            else
              require(made, operands.rowsFormat);
          }
          continue;
        }
        if (isElementwise(user) || isa<tile::ReduceOp>(user)) {
          if (i == 0) {
            Operation *maker = made.getDefiningOp();
            if (maker && maker->getBlock() == &block && isElementwise(maker) &&
                user->getBlock() == &block && phase.lookup(maker) != at &&
                !isa<tile::BroadcastOp>(user) && !isa<tile::BroadcastOp>(maker))
              later.push_back({made, user, at});
            else if (maker && isa<tile::BroadcastOp>(maker) && maker->getBlock() == &block &&
                     user->getBlock() == &block)
              extendLeaves(made, at); // a broadcast is never stored
            else
              useElementwise(made, user, at);
          } else {
            addUse(made, at); // by way of a transposed copy
            require(made, lowering.plainFormat(made));
          }
          continue;
        }
        addUse(made, at);
        require(made, lowering.plainFormat(made));
      }
  };
  for (BlockArgument argument : block.getArguments())
    if (tile::isTile(argument.getType()))
      collect(argument);
  for (Operation *op : tileOps)
    for (Value result : op->getResults())
      if (!isa<tile::TransposeOp>(op))
        collect(result);
  for (auto [tile, user, at] : later) {
    if (!formats.count(tile) && isCheap(tile, 3))
      extendLeaves(tile, at);
    else
      useElementwise(tile, user, at);
  }
  // Values of outer blocks that this one carries on are their owners' business; only uses here
  // matter.
  for (Value owner : owners)
    if (owner && owner.getParentBlock() != &block)
      for (Operation *user : owner.getUsers())
        if (block.findAncestorOpInBlock(*user))
          addUse(owner, phaseIn(user) == last &&
                                block.findAncestorOpInBlock(*user) == block.getTerminator()
                            ? 0
                            : phaseIn(user));
}

ArrayRef<Format> BlockSchedule::formatsOf(Value tile) const {
  auto it = formats.find(tile);
  return it == formats.end() ? ArrayRef<Format>() : ArrayRef<Format>(it->second);
}

/// Phase of the last read of `owner` in this block, its own passing on aside; `last` where it is
/// unclear.
static int lastReadOf(Value owner, Block &block, llvm::function_ref<int(Operation *)> phaseIn,
                      int computedAgain) {
  int at = computedAgain;
  for (OpOperand &use : owner.getUses()) {
    Operation *here = block.findAncestorOpInBlock(*use.getOwner());
    if (!here || use.getOwner() == block.getTerminator())
      continue;
    at = std::max(at, phaseIn(use.getOwner()));
  }
  return at;
}

void BlockSchedule::chooseDestinations() {
  Operation *terminator = block.getTerminator();
  for (auto [index, owner] : llvm::enumerate(owners)) {
    Value result = terminator->getOperand(static_cast<unsigned>(index));
    Operation *maker = result.getDefiningOp();
    if (!maker || maker->getBlock() != &block || isSplat(result) || isRegionOp(maker) ||
        isa<tile::TransposeOp>(maker) || llvm::count(terminator->getOperands(), result) != 1)
      continue;
    int read = 0;
    if (owner) {
      // Reads that compute a cheap tile again count too.
      auto again = lastUses.find(owner);
      bool passedOn = llvm::is_contained(terminator->getOperands(), owner);
      if (passedOn)
        continue;
      read = lastReadOf(
          owner, block, [&](Operation *op) { return phaseIn(op); },
          again == lastUses.end() ? 0 : again->second);
    }
    if (read > phase.lookup(maker))
      continue;
    // A read in the same phase has to be element by element.
    auto readsElsewhere = [&](Operation *except) {
      return owner && llvm::any_of(owner.getUsers(), [&](Operation *user) {
               Operation *here = block.findAncestorOpInBlock(*user);
               return here && here != except && here != terminator &&
                      phaseIn(here) == phase.lookup(except) &&
                      !(isElementwise(here) && isElementwise(except) &&
                        shapeOf(here->getResult(0)) == shapeOf(except->getResult(0)));
             });
    };
    if (readsElsewhere(maker))
      continue;
    if (auto load = dyn_cast<tile::LoadOp>(maker))
      continue;
    destination[result] = static_cast<int>(index);
    auto dot = dyn_cast<tile::DotOp>(maker);
    if (!dot || !dot.getAcc() || dot.getAcc() == owner)
      continue;
    // The product accumulates in place if what it starts from may be made there as well.
    Value start = dot.getAcc();
    Operation *starter = start.getDefiningOp();
    if (starter && starter->getBlock() == &block && isElementwise(starter) && !isSplat(start) &&
        start.hasOneUse() && read <= phase.lookup(starter) && !readsElsewhere(starter))
      destination[start] = static_cast<int>(index);
  }
}

const Buffer *BlockSchedule::destinationOf(Value tile) const {
  auto it = destination.find(tile);
  return it == destination.end() ? nullptr : &destinations[it->second];
}

std::pair<Value, const Buffer *> BlockSchedule::handedDown(Operation *op, unsigned index) const {
  Operation *terminator = block.getTerminator();
  for (auto [i, owner] : llvm::enumerate(owners)) {
    if (terminator->getOperand(static_cast<unsigned>(i)) != op->getResult(index))
      continue;
    if (llvm::count(terminator->getOperands(), op->getResult(index)) != 1)
      break;
    if (owner &&
        (llvm::is_contained(terminator->getOperands(), owner) ||
         lastReadOf(
             owner, block, [&](Operation *user) { return phaseIn(user); }, 0) > phase.lookup(op)))
      break;
    return {owner, &destinations[i]};
  }
  return {{}, nullptr};
}
