#include "ringc/compiler/passes/gpu/Lowering.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

#include <numeric>

using namespace mlir;
using namespace ringc;
using namespace ringc::gpu;

/// How many numbers a thread has of a value: of a tile its fragment's elements; none of a token.
static int64_t countOf(Value value) {
  if (isa<block::TokenType>(value.getType()))
    return 0;
  return tile::isTile(value.getType()) ? block::layoutOf(value).count() : 1;
}

/// The numbers that a branch yields, those of one place in all its tiles side by side: what
/// computes them is shared, and each is computed when it is yielded (shorten-lives).
static SmallVector<std::pair<size_t, size_t>> placeByPlace(ValueRange values) {
  SmallVector<std::pair<size_t, size_t>> order;
  int64_t most = 0;
  for (Value value : values)
    most = std::max(most, countOf(value));
  for (int64_t e = 0; e < most; ++e)
    for (auto [at, value] : llvm::enumerate(values))
      if (e < countOf(value))
        order.push_back({at, static_cast<size_t>(e)});
  return order;
}

FailureOr<SmallVector<SmallVector<Value>>> Lowering::numbersOf(ValueRange values, ValueRange like,
                                                               Operation *user) {
  SmallVector<SmallVector<Value>> all;
  for (auto [value, to] : llvm::zip(values, like)) {
    SmallVector<Value> &numbers = all.emplace_back();
    if (tile::isTile(value.getType())) {
      FailureOr<Fragment> fragment = whole(value, user);
      if (failed(fragment))
        return failure();
      numbers = expanded(*fragment, layoutOf(to)).elements;
    } else if (!isa<block::TokenType>(value.getType())) {
      numbers.push_back(scalars.lookup(value));
    }
  }
  return all;
}

void Lowering::setNumbers(Value of, ArrayRef<Value> numbers) {
  if (tile::isTile(of.getType()))
    fragments[of] = {layoutOf(of), SmallVector<Value>(numbers)};
  else if (!numbers.empty())
    scalars[of] = numbers.front();
}

/// Values one after another.
static SmallVector<Value> flat(ArrayRef<SmallVector<Value>> numbers) {
  SmallVector<Value> all;
  for (ArrayRef<Value> each : numbers)
    llvm::append_range(all, each);
  return all;
}

LogicalResult Lowering::lowerFor(scf::ForOp loop) {
  auto inits = numbersOf(loop.getInitArgs(), loop.getResults(), loop);
  if (failed(inits))
    return failure();
  SmallVector<Value> start = flat(*inits);
  auto made = scf::ForOp::create(builder, loc, scalars.lookup(loop.getLowerBound()),
                                 scalars.lookup(loop.getUpperBound()),
                                 scalars.lookup(loop.getStep()), start);
  auto hand = [&](ValueRange numbers, ValueRange to) {
    for (Value value : to) {
      auto count = static_cast<size_t>(countOf(value));
      setNumbers(value, SmallVector<Value>(numbers.take_front(count)));
      numbers = numbers.drop_front(count);
    }
  };
  {
    OpBuilder::InsertionGuard guard(builder);
    if (start.empty())
      builder.setInsertionPoint(made.getBody()->getTerminator());
    else
      builder.setInsertionPointToEnd(made.getBody());
    hand(made.getRegionIterArgs(), loop.getRegionIterArgs());
    scalars[loop.getInductionVar()] = made.getInductionVar();
    if (failed(lowerBlock(*loop.getBody())))
      return failure();
    auto yielded = numbersOf(loop.getYieldedValues(), loop.getResults(), loop);
    if (failed(yielded))
      return failure();
    if (!start.empty())
      scf::YieldOp::create(builder, loc, flat(*yielded));
  }
  hand(made.getResults(), loop.getResults());
  return success();
}

static SmallVector<Type> typesOf(ValueRange values) {
  SmallVector<Type> types;
  for (auto [at, e] : placeByPlace(values))
    types.push_back(getElementTypeOrSelf(values[at].getType()));
  return types;
}

LogicalResult Lowering::lowerSwitch(scf::IndexSwitchOp choice) {
  auto made = scf::IndexSwitchOp::create(builder, loc, typesOf(choice.getResults()),
                                         scalars.lookup(choice.getArg()), choice.getCases(),
                                         static_cast<unsigned>(choice.getCases().size()));
  return lowerWays(choice, made);
}

LogicalResult Lowering::lowerIf(scf::IfOp branch) {
  auto made = scf::IfOp::create(builder, loc, typesOf(branch.getResults()),
                                scalars.lookup(branch.getCondition()), /*addThenBlock=*/false,
                                /*addElseBlock=*/false);
  return lowerWays(branch, made);
}

/// The regions of a choice between ways to compute the same.
LogicalResult Lowering::lowerWays(Operation *from, Operation *made) {
  ValueRange results = from->getResults();
  SmallVector<std::pair<size_t, size_t>> order = placeByPlace(results);
  for (auto [region, madeRegion] : llvm::zip(from->getRegions(), made->getRegions())) {
    if (region.empty())
      continue;
    OpBuilder::InsertionGuard guard(builder);
    builder.createBlock(&madeRegion);
    if (failed(lowerBlock(region.front())))
      return failure();
    auto numbers = numbersOf(region.front().getTerminator()->getOperands(), results, from);
    if (failed(numbers))
      return failure();
    SmallVector<Value> yielded;
    for (auto [at, e] : order)
      yielded.push_back((*numbers)[at][e]);
    scf::YieldOp::create(builder, loc, yielded);
  }
  SmallVector<SmallVector<Value>> numbers(results.size());
  for (auto [number, place] : llvm::zip(made->getResults(), order))
    numbers[place.first].push_back(number);
  for (auto [result, each] : llvm::zip(results, numbers))
    setNumbers(result, each);
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
  ValueRange numbers = branch.getResults();
  for (auto [result, layout] : llvm::zip(op.getResults(), layouts)) {
    auto count = static_cast<size_t>(layout.count());
    setNumbers(result, SmallVector<Value>(numbers.take_front(count)));
    numbers = numbers.drop_front(count);
  }
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
