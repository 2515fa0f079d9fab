#include "compiler/passes/gpu/Lowering.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

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
  if (pipeline) {
    if (loopDepth > 0)
      barrier();
    Value seen = visibleAt(*pipeline, loop, lower);
    if (failed(copyRound(*pipeline, loop, lower, seen, i32(0))))
      return failure();
    inits.append({seen, i32(0)});
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
      // This round's copies have arrived, and everybody is done with the last one's.
      call("llvm.nvvm.cp.async.wait.group", {i32(0)});
      barrier();
      underWay.clear();
      size_t last = made.getRegionIterArgs().size() - 1;
      Value seen = made.getRegionIterArgs()[last - 1], stage = made.getRegionIterArgs()[last];
      Value next = add(made.getInductionVar(), step);
      Value nextSeen = visibleAt(*pipeline, loop, next);
      Value other = arith::SubIOp::create(builder, loc, i32(pipeline->stageBytes), stage);
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
  for (Value tile : tiles) {
    layouts.push_back(layoutOf(tile));
    types.append(static_cast<size_t>(layouts.back().count()), typeOf(tile).getElementType());
  }
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
    SmallVector<Value> yielded;
    for (auto [value, layout] : llvm::zip(region.front().getTerminator()->getOperands(), layouts)) {
      FailureOr<Fragment> fragment = whole(value, from);
      if (failed(fragment))
        return failure();
      yielded.append(expanded(*fragment, layout).elements);
    }
    scf::YieldOp::create(builder, loc, yielded);
    settledAfter &= settled;
  }
  settled = settledAfter;
  unflatten(made->getResults(), layouts, from->getResults(), fragments);
  return success();
}

/// The running state lies in the order of the registers: element e of all threads, then e + 1.
Value Lowering::carryPointer(tile::CarryType, Value carry, int64_t offset, int64_t element) {
  Value pointer = frame.carry(carry).pointer;
  Value mine = frame.widen(mul(thread, 4));
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
      for (int64_t e = 0; e < layout.count(); ++e)
        values.push_back(load(builder.getF32Type(), carryPointer(type, op.getCarry(), offset, e)));
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
    for (auto [e, value] : llvm::enumerate(kept.elements))
      store(value, carryPointer(type, op.getCarry(), offset, static_cast<int64_t>(e)));
    offset += kept.layout.count() * threads() * 4;
  }
  builder.setInsertionPointToStart(branch.thenBlock());
  return lowerBlock(op.getBody().front());
}
