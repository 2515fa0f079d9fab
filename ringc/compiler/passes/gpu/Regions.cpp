#include "ringc/compiler/passes/gpu/Lowering.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

#include <numeric>

using namespace mlir;
using namespace ringc;
using namespace ringc::gpu;

static RankedTensorType typeOf(Value tile) { return cast<RankedTensorType>(tile.getType()); }

/// The fragments of a region operation's results from its flat list of values.
static void unflatten(ValueRange flat, ArrayRef<FragmentLayout> layouts, ValueRange tiles,
                      llvm::DenseMap<Value, Fragment> &fragments) {
  size_t next = 0;
  for (auto [tile, layout] : llvm::zip(tiles, layouts)) {
    Fragment fragment{layout, {}};
    for (int64_t e = 0; e < layout.count(); ++e)
      fragment.elements.push_back(flat[next++]);
    fragments[tile] = fragment;
  }
}

/// The elements that a branch yields, those of one place in all its tiles side by side: what
/// computes them is shared, and each is computed when it is yielded (shorten-lives).
static SmallVector<std::pair<size_t, int64_t>> placeByPlace(ArrayRef<FragmentLayout> layouts) {
  SmallVector<std::pair<size_t, int64_t>> order;
  int64_t most = 0;
  for (const FragmentLayout &layout : layouts)
    most = std::max(most, layout.count());
  for (int64_t e = 0; e < most; ++e)
    for (auto [tile, layout] : llvm::enumerate(layouts))
      if (e < layout.count())
        order.push_back({tile, e});
  return order;
}

LogicalResult Lowering::lowerFor(scf::ForOp loop) {
  SmallVector<FragmentLayout> layouts;
  SmallVector<Value> inits;
  for (auto [init, result] : llvm::zip(loop.getInitArgs(), loop.getResults())) {
    FragmentLayout layout = layoutOf(result);
    FailureOr<Fragment> fragment = whole(init, loop);
    if (failed(fragment))
      return failure();
    Fragment start = expanded(*fragment, layout);
    layouts.push_back(layout);
    inits.append(start.elements);
  }
  int64_t top = sharedTop;
  Value lower = scalars.lookup(loop.getLowerBound()), step = scalars.lookup(loop.getStep()),
        upper = scalars.lookup(loop.getUpperBound());
  std::optional<Pipeline> pipeline = pipelineOf(loop);
  if (pipeline && pipeline->visibility)
    std::tie(lower, upper) = visibleRounds(*pipeline, loop, lower, upper, step);
  bool beginsEmpty = pipeline && pipeline->visibility;
  if (pipeline) {
    if (loopDepth > 0)
      barrier();
    if (beginsEmpty) { // an empty round before the first copies the first: copies stand once
      lower = arith::SubIOp::create(builder, loc, lower, step);
      inits.append({i32(0), i32(0)});
    } else {
      Value seen = visibleAt(*pipeline, loop, lower);
      if (failed(copyRound(*pipeline, loop, lower, seen, i32(0))))
        return failure();
      inits.append({seen, i32(0)});
    }
  }
  auto made = scf::ForOp::create(builder, loc, lower, upper, step, inits);
  unflatten(made.getRegionIterArgs(), layouts, loop.getRegionIterArgs(), fragments);
  settled = false; // what the round before has read
  {
    OpBuilder::InsertionGuard guard(builder);
    SmallVector<Value> before = underWay;
    if (inits.empty())
      builder.setInsertionPoint(made.getBody()->getTerminator());
    else
      builder.setInsertionPointToEnd(made.getBody());
    SmallVector<Value> ahead; // what the next round is told
    if (pipeline) {
      size_t last = made.getRegionIterArgs().size() - 1;
      Value seen = made.getRegionIterArgs()[last - 1], stage = made.getRegionIterArgs()[last];
      Value other = arith::SubIOp::create(builder, loc, i32(pipeline->stageBytes), stage);
      {
        // This round's copies have arrived, and everybody is done with the last one's. Where
        // nothing is seen nothing was copied, and the next round's take its place.
        OpBuilder::InsertionGuard inRound(builder);
        if (beginsEmpty) {
          Value any = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ne, seen, i32(0));
          other = arith::SelectOp::create(builder, loc, any, other, stage);
          auto branch = scf::IfOp::create(builder, loc, any, /*withElseRegion=*/false);
          builder.setInsertionPointToStart(branch.thenBlock());
        }
        call("llvm.nvvm.cp.async.wait.group", {i32(0)});
        barrier();
      }
      underWay.clear();
      Value next = add(made.getInductionVar(), step);
      Value nextSeen = visibleAt(*pipeline, loop, next);
      if (failed(copyRound(*pipeline, loop, next, nextSeen, other)))
        return failure();
      ahead = {nextSeen, other};
      for (auto [names, tile] : llvm::zip(pipeline->names, pipeline->tiles))
        for (Value name : names) {
          shared[name] = tile;
          shared[name].stage = stage;
        }
      if (pipeline->visibility)
        scalars[pipeline->visibility.getResult()] = seen;
    }
    scalars[loop.getInductionVar()] = made.getInductionVar();
    ++loopDepth;
    if (failed(lowerBlock(*loop.getBody())))
      return failure();
    --loopDepth;
    SmallVector<Value> yielded;
    for (auto [value, layout] : llvm::zip(loop.getYieldedValues(), layouts)) {
      FailureOr<Fragment> fragment = whole(value, loop);
      if (failed(fragment))
        return failure();
      yielded.append(expanded(*fragment, layout).elements);
    }
    yielded.append(ahead);
    if (!inits.empty())
      scf::YieldOp::create(builder, loc, yielded);
    underWay = before;
  }
  settled = false;
  if (pipeline) {
    // Who goes on may use this memory for something else.
    call("llvm.nvvm.cp.async.wait.group", {i32(0)});
    barrier();
    sharedTop = top;
  }
  unflatten(made.getResults(), layouts, loop.getResults(), fragments);
  return success();
}

LogicalResult Lowering::lowerSwitch(scf::IndexSwitchOp choice) {
  auto [layouts, types] = flattened(choice.getResults());
  auto made = scf::IndexSwitchOp::create(builder, loc, types, scalars.lookup(choice.getArg()),
                                         choice.getCases(),
                                         static_cast<unsigned>(choice.getCases().size()));
  return lowerWays(choice, made, layouts);
}

LogicalResult Lowering::lowerIf(scf::IfOp branch) {
  auto [layouts, types] = flattened(branch.getResults());
  auto made = scf::IfOp::create(builder, loc, types, scalars.lookup(branch.getCondition()),
                                /*addThenBlock=*/false, /*addElseBlock=*/false);
  return lowerWays(branch, made, layouts);
}

std::pair<SmallVector<FragmentLayout>, SmallVector<Type>>
Lowering::flattened(ValueRange tiles) const {
  SmallVector<FragmentLayout> layouts;
  SmallVector<Type> types;
  for (Value tile : tiles)
    layouts.push_back(layoutOf(tile));
  for (auto [tile, e] : placeByPlace(layouts))
    types.push_back(typeOf(tiles[tile]).getElementType());
  return {layouts, types};
}

/// The regions of a choice between ways to compute the same tiles.
LogicalResult Lowering::lowerWays(Operation *from, Operation *made,
                                  ArrayRef<FragmentLayout> layouts) {
  bool settledBefore = settled, settledAfter = true;
  for (auto [region, madeRegion] : llvm::zip(from->getRegions(), made->getRegions())) {
    if (region.empty())
      continue;
    OpBuilder::InsertionGuard guard(builder);
    builder.createBlock(&madeRegion);
    settled = settledBefore;
    if (failed(lowerBlock(region.front())))
      return failure();
    SmallVector<Fragment> yields;
    for (auto [value, layout] : llvm::zip(region.front().getTerminator()->getOperands(), layouts)) {
      FailureOr<Fragment> fragment = whole(value, from);
      if (failed(fragment))
        return failure();
      yields.push_back(expanded(*fragment, layout));
    }
    SmallVector<Value> yielded;
    for (auto [tile, e] : placeByPlace(layouts))
      yielded.push_back(yields[tile].elements[static_cast<size_t>(e)]);
    scf::YieldOp::create(builder, loc, yielded);
    settledAfter &= settled;
  }
  settled = settledAfter;
  for (auto [tile, layout] : llvm::zip(from->getResults(), layouts))
    fragments[tile] = {layout, {}};
  for (auto [result, place] : llvm::zip(made->getResults(), placeByPlace(layouts)))
    fragments[from->getResult(static_cast<unsigned>(place.first))].elements.push_back(result);
  return success();
}

/// The running state lies in the order of the registers: so many elements of each thread as one
/// instruction moves, 16 bytes at most, then the next of all threads.
static int64_t elementsTogether(const FragmentLayout &layout) {
  return std::gcd<int64_t>(layout.count(), 4);
}

Value Lowering::carryPointer(tile::CarryType, Value carry, int64_t offset,
                             const FragmentLayout &layout, int64_t element) {
  Value pointer = frame.carry(carry).pointer;
  Value mine = frame.widen(mul(thread, 4 * elementsTogether(layout)));
  return global(frame.pointerAt(frame.pointerAt(pointer, mine),
                                frame.constant(offset + element * threads() * 4)));
}

/// A condition that holds more often than not, so that LLVM computes nothing ahead for what happens
/// otherwise: the carry's address would be kept through the loop.
Value Lowering::expected(Value condition) {
  return LLVM::ExpectOp::create(builder, loc, condition,
                                arith::ConstantIntOp::create(builder, loc, 1, 1));
}

LogicalResult Lowering::lowerResume(tile::ResumeOp op) {
  SmallVector<FragmentLayout> layouts;
  SmallVector<Type> types;
  SmallVector<int64_t> offsets;
  for (Value result : op.getResults()) {
    layouts.push_back(layoutOf(result));
    types.append(static_cast<size_t>(layouts.back().count()), builder.getF32Type());
    offsets.push_back(frame.reserveCarry(layouts.back().count() * threads() * 4));
  }
  auto branch = scf::IfOp::create(builder, loc, types, frame.carry(op.getCarry()).begins,
                                  /*withElseRegion=*/true);
  {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(branch.thenBlock());
    SmallVector<Value> values;
    for (auto [init, layout] : llvm::zip(op.getInits(), layouts)) {
      FailureOr<Fragment> fragment = whole(init, op);
      if (failed(fragment))
        return failure();
      values.append(expanded(*fragment, layout).elements);
    }
    scf::YieldOp::create(builder, loc, values);
    builder.setInsertionPointToStart(branch.elseBlock());
    values.clear();
    auto type = cast<tile::CarryType>(op.getCarry().getType());
    for (auto [layout, offset] : llvm::zip(layouts, offsets))
      for (int64_t e = 0; e < layout.count(); e += elementsTogether(layout))
        values.append(loadTogether(builder.getF32Type(), elementsTogether(layout),
                                   carryPointer(type, op.getCarry(), offset, layout, e)));
    scf::YieldOp::create(builder, loc, values);
  }
  unflatten(branch.getResults(), layouts, op.getResults(), fragments);
  return success();
}

LogicalResult Lowering::lowerFinish(tile::FinishOp op) {
  auto branch = scf::IfOp::create(builder, loc, expected(frame.carry(op.getCarry()).ends),
                                  /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(branch.elseBlock());
  auto type = cast<tile::CarryType>(op.getCarry().getType());
  int64_t offset = 0; // as resume counts
  for (Value tile : op.getTiles()) {
    FailureOr<Fragment> fragment = whole(tile, op);
    if (failed(fragment))
      return failure();
    Fragment kept = expanded(*fragment, layoutOf(tile));
    int64_t together = elementsTogether(kept.layout);
    for (int64_t e = 0; e < kept.layout.count(); e += together)
      storeTogether(
          ArrayRef(kept.elements).slice(static_cast<size_t>(e), static_cast<size_t>(together)),
          carryPointer(type, op.getCarry(), offset, kept.layout, e));
    offset += kept.layout.count() * threads() * 4;
  }
  builder.setInsertionPointToStart(branch.thenBlock());
  return lowerBlock(op.getBody().front());
}
