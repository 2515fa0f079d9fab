// A loop whose next round's windows are copied during this one.
//
// Loop arguments say what is visible in the round, which stage its windows are in, and what its
// copies are waited for by. Rounds in which nothing is visible are not copied; those before the
// first in which something is, and after the last, are not entered: under a causal mask that is
// half of them, and each would wait for the others at a barrier to find out that there is nothing
// to do.

#include "ringc/compiler/passes/gpu/CopiesAhead.h"
#include "ringc/compiler/passes/gpu/Staging.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace ringc;
using namespace ringc::gpu;

namespace {

class Rewrite {
public:
  Rewrite(scf::ForOp ofLoop, CopiesAhead ofAhead)
      : loop(ofLoop), ahead(std::move(ofAhead)), builder(loop), loc(loop.getLoc()),
        lower(loop.getLowerBound()), upper(loop.getUpperBound()), wholeUpper(upper) {}

  void run();
  scf::ForOp made() const { return loop; }

private:
  Value constant(int64_t value) { return arith::ConstantIntOp::create(builder, loc, value, 32); }
  Value isSeen(Value seen) {
    return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ne, seen, constant(0));
  }
  Type token() { return block::TokenType::get(builder.getContext()); }
  void makeBuffers();
  Value visibleAt(Value round);
  void narrow();
  Value copyRound(Value round, Value seen, Value stage);
  void keepRows(IRMapping &mapping, Value seen);
  void rebuild(ValueRange more);
  void replaceNames(Value stage);

  scf::ForOp loop;
  CopiesAhead ahead;
  OpBuilder builder;
  Location loc;
  block::BufferOp buffers;
  Value words;        ///< of the rows kept
  Value lower, upper; ///< of the rounds that are entered
  Value wholeUpper;
};

void Rewrite::makeBuffers() {
  SmallVector<Type> types;
  for (const CopiesAhead::Each &each : ahead.windows)
    types.push_back(each.buffer);
  buffers = block::BufferOp::create(builder, loc, types, /*stages=*/2);
  if (ahead.where)
    words = block::BufferOp::create(builder, loc, TypeRange{ahead.where.getType()}).getResult(0);
}

/// What is visible in a round: nothing behind the last one.
Value Rewrite::visibleAt(Value round) {
  Value in = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::slt, round, wholeUpper);
  if (!ahead.visibility)
    return arith::SelectOp::create(builder, loc, in, constant(2), constant(0));
  auto branch = scf::IfOp::create(builder, loc, TypeRange{builder.getI32Type()}, in,
                                  /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(branch.thenBlock());
  IRMapping mapping;
  mapping.map(loop.getInductionVar(), round);
  Operation *seen = builder.clone(*ahead.visibility, mapping);
  scf::YieldOp::create(builder, loc, Value(seen->getResult(0)));
  builder.setInsertionPointToStart(branch.elseBlock());
  scf::YieldOp::create(builder, loc, constant(0));
  return branch.getResult(0);
}

void Rewrite::narrow() {
  Type i32 = builder.getI32Type();
  auto rounds =
      block::VisibleRoundsOp::create(builder, loc, i32, i32, lower, upper, loop.getStep());
  OpBuilder::InsertionGuard guard(builder);
  Block *body = builder.createBlock(&rounds.getBody(), {}, TypeRange{i32}, loc);
  block::YieldOp::create(builder, loc, visibleAt(body->getArgument(0)));
  lower = rounds.getBegin(), upper = rounds.getEnd();
}

/// The rows kept, where the visibility asks for it.
void Rewrite::keepRows(IRMapping &mapping, Value seen) {
  scf::IfOp writer = writerOf(ahead.where);
  mapping.map(ahead.visibility.getResult(), seen);
  mapping.map(ahead.where, words);
  builder.clone(*writer.getCondition().getDefiningOp(), mapping);
  builder.clone(*writer, mapping);
}

/// Starts the copies of a round where something is seen in it. Returns their token.
Value Rewrite::copyRound(Value round, Value seen, Value stage) {
  auto branch = scf::IfOp::create(builder, loc, isSeen(seen), /*withElseRegion=*/false);
  {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(branch.thenBlock());
    IRMapping mapping;
    mapping.map(loop.getInductionVar(), round);
    for (Operation *maker : ahead.places)
      builder.clone(*maker, mapping);
    // The mask sees no row outside, and a round in which a row of it lies outside asks the mask.
    bool areInside = false;
    if (ahead.where) {
      keepRows(mapping, seen);
      tile::VisibilityOp visibility = ahead.visibility;
      Value rows =
          visibility.getLoopAxis() == 0 ? visibility.getQueryRow() : visibility.getKeyRow();
      areInside = rows == loop.getInductionVar() &&
                  llvm::all_of(ahead.windows, [&](const CopiesAhead::Each &each) {
                    CopiedWindow window = CopiedWindow::of(each.names.front());
                    return !window.where || window.offsets[0] == rows;
                  });
    }
    for (auto [each, buffer] : llvm::zip(ahead.windows, buffers.getResults())) {
      CopiedWindow window = CopiedWindow::of(each.names.front());
      auto copy = dyn_cast<block::CopyOp>(each.names.front());
      Value to = block::StageOp::create(builder, loc, each.buffer, buffer, stage);
      SmallVector<Value> offsets;
      for (Value offset : window.offsets)
        offsets.push_back(mapping.lookupOrDefault(offset));
      block::CopyOp::create(builder, each.names.front()->getLoc(),
                            mapping.lookupOrDefault(window.view), offsets,
                            /*rows=*/Value(), /*fill=*/TypedAttr(), window.where ? words : Value(),
                            window.where ? mapping.lookup(copy.getCondition()) : Value(), to,
                            window.where && areInside);
    }
  }
  return block::CommitOp::create(builder, loc, token());
}

/// The loop with more arguments, which its body does not yield yet.
void Rewrite::rebuild(ValueRange more) {
  SmallVector<Value> inits(loop.getInitArgs());
  llvm::append_range(inits, more);
  auto made = scf::ForOp::create(builder, loc, lower, upper, loop.getStep(), inits);
  SmallVector<FragmentLayout> layouts;
  for (Value result : loop.getResults())
    layouts.push_back(block::layoutOf(result));
  layouts.resize(inits.size());
  block::setLayouts(made, layouts);
  Block *from = loop.getBody(), *to = made.getBody();
  if (!to->empty())
    to->back().erase();
  to->getOperations().splice(to->end(), from->getOperations());
  for (auto [old, now] : llvm::zip(from->getArguments(), to->getArguments()))
    old.replaceAllUsesWith(now);
  for (auto [old, now] : llvm::zip(loop.getResults(), made.getResults()))
    old.replaceAllUsesWith(now);
  loop.erase();
  loop = made;
}

/// What was copied in this round is in one of the stages.
void Rewrite::replaceNames(Value stage) {
  SmallVector<Value> stages; // all before the operation that they stand before may be erased
  for (auto [each, buffer] : llvm::zip(ahead.windows, buffers.getResults()))
    stages.push_back(block::StageOp::create(builder, loc, each.buffer, buffer, stage));
  for (auto [each, here] : llvm::zip(ahead.windows, stages))
    for (Operation *name : each.names) {
      if (auto copy = dyn_cast<block::CopyOp>(name)) {
        Operation *maker = copy.getBuffer().getDefiningOp();
        Value where = copy.getWhere();
        copy.erase();
        maker->getResult(0).replaceAllUsesWith(here);
        maker->erase();
        if (where) {
          writerOf(where)->erase();
          where.getDefiningOp()->erase();
        }
        continue;
      }
      OpBuilder::InsertionGuard guard(builder);
      builder.setInsertionPoint(name);
      auto read =
          block::ReadOp::create(builder, name->getLoc(), name->getResult(0).getType(), here);
      block::setLayouts(read, block::layoutOf(name->getResult(0)));
      name->getResult(0).replaceAllUsesWith(read.getResult());
      name->erase();
    }
}

void Rewrite::run() {
  makeBuffers();
  if (ahead.visibility)
    narrow();
  if (isInLoop(loop))
    block::BarrierOp::create(builder, loc); // what the round before read from here has been read
  Value step = loop.getStep(), zero = constant(0), firstSeen = zero, firstCopied;
  if (ahead.visibility) { // an empty round before the first copies the first: copies stand once
    lower = arith::SubIOp::create(builder, loc, lower, step);
    firstCopied = block::NoCopiesOp::create(builder, loc, token());
  } else {
    firstSeen = visibleAt(lower);
    firstCopied = copyRound(lower, firstSeen, zero);
  }
  rebuild({firstSeen, zero, firstCopied});

  builder.setInsertionPointToStart(loop.getBody());
  auto arguments = loop.getRegionIterArgs().take_back(3);
  Value seen = arguments[0], stage = arguments[1], copied = arguments[2];
  Value other = arith::SubIOp::create(builder, loc, constant(ahead.stageBytes), stage), any;
  if (ahead.visibility) {
    // Where nothing is seen nothing was copied, and the next round's take its place.
    any = isSeen(seen);
    other = arith::SelectOp::create(builder, loc, any, other, stage);
  }
  // This round's copies have arrived, and everybody is done with the last one's.
  block::ReadyOp::create(builder, loc, copied, any, /*behind=*/0);
  Value next = arith::AddIOp::create(builder, loc, loop.getInductionVar(), step);
  Value nextSeen = visibleAt(next);
  Value nextCopied = copyRound(next, nextSeen, other);
  replaceNames(stage);
  if (ahead.visibility) {
    ahead.visibility.getResult().replaceAllUsesWith(seen);
    ahead.visibility.erase();
  }
  Operation *yield = loop.getBody()->getTerminator();
  yield->insertOperands(yield->getNumOperands(), {nextSeen, other, nextCopied});

  // Who goes on may use this memory for something else.
  builder.setInsertionPointAfter(loop);
  block::ReadyOp::create(builder, loc, loop.getResults().back(), Value(), /*behind=*/0);
  block::ReleaseOp::create(builder, loc, buffers.getResult(0));
}

void copyAheadIn(Block &block, const GpuTarget &target) {
  for (Operation &op : llvm::make_early_inc_range(block)) {
    Operation *here = &op;
    if (auto loop = dyn_cast<scf::ForOp>(op))
      if (CopiesAhead ahead = CopiesAhead::of(loop, target); !ahead.windows.empty()) {
        Rewrite rewrite(loop, std::move(ahead));
        rewrite.run();
        here = rewrite.made();
      }
    for (Region &region : here->getRegions())
      for (Block &inner : region)
        copyAheadIn(inner, target);
  }
}

} // namespace

void ringc::gpu::copyAhead(func::FuncOp kernel, const GpuTarget &target) {
  copyAheadIn(kernel.front(), target);
}
