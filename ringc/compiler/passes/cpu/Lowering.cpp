#include "ringc/compiler/passes/cpu/Lowering.h"

#include "ringc/compiler/passes/cpu/BlockSchedule.h"
#include "ringc/compiler/passes/cpu/NestEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace ringc;
using namespace ringc::cpu;

Lowering::Lowering(func::FuncOp k, const CompiledKernel &interface, const CpuTarget &t)
    : kernel(k), target(t), builder(k.getContext()), loc(k.getLoc()),
      lanes(k, LaneAnalysis::Constants::Identify, t.lanes()), frame(builder, k, interface),
      scalarCode(builder, loc, frame, scalars) {
  chooseStorage();
}

bool Lowering::sameNest(Value a, Value b) const {
  return cast<RankedTensorType>(a.getType()).getShape() ==
             cast<RankedTensorType>(b.getType()).getShape() &&
         lanes.laneAxis(a) == lanes.laneAxis(b);
}

int64_t Lowering::rowsOf(Value tile) const {
  return cast<RankedTensorType>(tile.getType()).getDimSize(1 - lanes.laneAxis(tile));
}

FailureOr<func::FuncOp> Lowering::run() {
  for (BlockArgument argument : kernel.getArguments())
    if (Value scalar = frame.scalar(argument))
      scalars[argument] = scalar;
  if (hasTiles) {
    int64_t offset = scratch.allocate(TileRegisters::bytesOfMemory, 0, ScratchAllocator::forever);
    tileMemory = frame.pointerAt(frame.scratch(), frame.constant(offset));
  }
  bool configures = hasTiles && (target.hasBf16Tiles || target.hasF16Tiles);
  if (configures)
    TileRegisters(builder, frame, TileRegisters::Kind::Instructions, tileMemory, target.lanes())
        .configure(loc);
  if (failed(makeFillRows()) || failed(lowerBlock(kernel.front(), {}, {})))
    return failure();
  if (configures)
    TileRegisters(builder, frame, TileRegisters::Kind::Instructions, tileMemory, target.lanes())
        .release(loc);
  func::ReturnOp::create(builder, loc);
  frame.finish();
  return frame.entry();
}

/// The phase and a tile of the nest of full rows with the most operations.
std::optional<std::pair<int, Value>>
Lowering::busiestNest(BlockSchedule &schedule,
                      const DenseMap<Operation *, HiddenPart> &hiddenRows) {
  struct Nest {
    int phase;
    Value tile;
    int operations = 0;
    bool isMade = false; ///< or all of it is computed where others need it
  };
  SmallVector<Nest> nests;
  for (Operation *op : schedule.operations()) {
    auto reduce = dyn_cast<tile::ReduceOp>(op);
    if ((!reduce && !schedule.isElementwise(op)) || hiddenRows.contains(op))
      continue;
    Value tile = reduce ? Value(reduce.getOperand()) : op->getResult(0);
    if (!NestEmitter::isOneLoop(*this, tile))
      continue;
    int phase = schedule.phaseOf(op);
    auto nest = llvm::find_if(
        nests, [&](const Nest &each) { return each.phase == phase && sameNest(each.tile, tile); });
    if (nest == nests.end())
      nest = nests.insert(nests.end(), Nest{phase, tile});
    ++nest->operations;
    nest->isMade |= reduce || !schedule.formatsOf(tile).empty();
  }
  const Nest *best = nullptr;
  for (const Nest &nest : nests)
    if (nest.isMade && (!best || nest.operations > best->operations))
      best = &nest;
  return best ? std::optional(std::pair(best->phase, best->tile)) : std::nullopt;
}

LogicalResult Lowering::lowerBlock(Block &block, ArrayRef<Value> owners,
                                   ArrayRef<Buffer> destinations) {
  BlockSchedule schedule(*this, block, owners, destinations);
  for (Operation &op : block.without_terminator())
    if (!llvm::is_contained(schedule.operations(), &op) &&
        !(op.getNumResults() == 1 && isSplat(op.getResult(0)) &&
          tile::isTile(op.getResult(0).getType())))
      if (failed(lowerScalar(&op)))
        return failure();
  prefetchSums(block);
  auto hiddenRows = hiddenRowsOf(block, lanes);
  auto asking = busiestNest(schedule, hiddenRows);
  int64_t outerRows = std::exchange(rowsOfAskingNest, asking ? rowsOf(asking->second) : 0);
  auto outerWindows = std::exchange(nextWindows, {});

  auto place = [&](Value tile, Format format, int phase) {
    const Buffer *destination = schedule.destinationOf(tile);
    if (destination && destination->format == format)
      return *destination;
    return makeBuffer(tile, format, phase, schedule.lastUse(tile));
  };
  for (int phase = 0; phase < schedule.phases(); ++phase) {
    SmallVector<Operation *> now;
    for (Operation *op : schedule.operations())
      if (schedule.phaseOf(op) == phase)
        now.push_back(op);
    for (Operation *op : now) {
      loc = op->getLoc();
      if (auto load = dyn_cast<tile::LoadOp>(op)) {
        for (Format format : schedule.formatsOf(load.getResult())) {
          Buffer to = place(load.getResult(), format, phase);
          emitLoad(load, to, phase);
          buffers[load.getResult()].push_back(to);
        }
      } else if (auto dot = dyn_cast<tile::DotOp>(op)) {
        DotOperands operands = operandsOf(dot);
        auto window = operands.lanes.getDefiningOp<tile::LoadOp>();
        bool streams = window && streamedInto(window) == dot;
        assert(!(streams && operands.form == ProductForm::Tiles) && "tiles are copied");
        std::optional<Buffer> along;
        if (!streams)
          along = bufferIn(operands.lanes, operands.lanesFormat, phase);
        Buffer scalarwise = bufferIn(operands.rows, operands.rowsFormat, phase);
        std::optional<Buffer> acc;
        if (dot.getAcc() && !isZero(dot.getAcc()))
          acc = bufferIn(dot.getAcc(), plainFormat(dot.getAcc()), phase);
        Buffer result = place(dot.getResult(), plainFormat(dot.getResult()), phase);
        if (streams)
          emitStreamedDot(dot, window, scalarwise, acc ? &*acc : nullptr, result, phase);
        else if (operands.form == ProductForm::Tiles)
          emitTiledDot(dot, *along, scalarwise, acc ? &*acc : nullptr, result);
        else
          emitDot(dot, *along, scalarwise, acc ? &*acc : nullptr, result);
        buffers[dot.getResult()].push_back(result);
      }
    }
    // Copies for elementwise readers of transposed tiles; products read through a transpose
    // instead.
    for (Operation *op : now)
      if (auto transpose = dyn_cast<tile::TransposeOp>(op);
          transpose && llvm::any_of(transpose->getUsers(), [&](Operation *user) {
            return !isa<tile::DotOp, tile::TransposeOp, tile::LoadOp>(user);
          })) {
        Value from = transpose.getOperand();
        if (Operation *maker = from.getDefiningOp(); maker && schedule.isElementwise(maker) &&
                                                     schedule.phaseOf(maker) == phase &&
                                                     maker->getBlock() == &block)
          return transpose.emitOpError("of a tile that is being computed is read element by "
                                       "element; products alone take such a transpose");
        Buffer to = makeBuffer(transpose.getResult(), plainFormat(transpose.getResult()), phase,
                               ScratchAllocator::forever);
        Buffer source = bufferIn(from, plainFormat(from), phase);
        source.format.lane = 1 - source.format.lane; // the same memory, as the transpose names axes
        copyBuffer(source, to);
        buffers[transpose.getResult()].push_back(to);
      }

    // One nest for each shape, and one for what leaves out hidden rows: first, as only the others
    // make tiles in place of loop-carried ones, which it may read.
    struct Nest {
      Value tile;
      std::optional<VisibleRanges> visible;
      SmallVector<NestEmitter::Output> outputs;
      SmallVector<NestEmitter::Reduction> reductions;
    };
    SmallVector<Nest, 2> nests;
    auto nestOf = [&](Operation *op, Value tile) -> Nest & {
      std::optional<VisibleRanges> visible;
      if (auto hidden = hiddenRows.find(op); hidden != hiddenRows.end())
        visible = visibleRanges(hidden->second, tile);
      auto it = llvm::find_if(nests, [&](const Nest &nest) {
        return sameNest(nest.tile, tile) && nest.visible.has_value() == visible.has_value();
      });
      if (it != nests.end())
        return *it;
      return *nests.insert(visible ? nests.begin() : nests.end(), Nest{tile, visible, {}, {}});
    };
    for (Operation *op : now) {
      if (auto reduce = dyn_cast<tile::ReduceOp>(op)) {
        Buffer to = place(reduce.getResult(), plainFormat(reduce.getResult()), phase);
        nestOf(op, reduce.getOperand()).reductions.push_back({reduce, to});
      } else if (schedule.isElementwise(op)) {
        Value tile = op->getResult(0);
        NestEmitter::Output output{tile, {}, hiddenRows.lookup(op).readAsZero};
        for (Format format : schedule.formatsOf(tile))
          output.to.push_back(place(tile, format, phase));
        if (!output.to.empty())
          nestOf(op, tile).outputs.push_back(output);
      }
    }
    for (const Nest &nest : nests) {
      loc = nest.tile.getLoc();
      bool asks =
          asking && phase == asking->first && !nest.visible && sameNest(nest.tile, asking->second);
      NestEmitter(*this, nest.tile, nest.visible).emit(nest.outputs, nest.reductions, asks);
      if (asks) {
        nextWindows.clear();
        rowsOfAskingNest = 0;
      }
    }
    for (const Nest &nest : nests) {
      for (const NestEmitter::Output &output : nest.outputs)
        buffers[output.tile].append(output.to.begin(), output.to.end());
      for (const NestEmitter::Reduction &reduction : nest.reductions)
        buffers[tile::ReduceOp(reduction.op).getResult()].push_back(reduction.to);
    }

    for (Operation *op : now) {
      loc = op->getLoc();
      if (auto store = dyn_cast<tile::StoreOp>(op)) {
        auto [tile, swapped] = throughTransposes(store.getTile());
        const Buffer *from = swapped ? findBuffer(store.getTile()) : findBuffer(tile);
        Value stored = swapped ? store.getTile() : tile;
        emitStore(store,
                  from && !from->format.paired ? *from
                                               : bufferIn(stored, plainFormat(stored), phase),
                  phase);
      } else if (op->getNumRegions() || isa<tile::ResumeOp>(op)) {
        if (failed(lowerRegionOp(op, phase, schedule, owners, destinations)))
          return failure();
      }
    }
  }

  assert(nextWindows.empty() && "loads after the nest that asks ask themselves");
  nextWindows = std::move(outerWindows);
  rowsOfAskingNest = outerRows;

  // What could not be made in its destination is moved there; through a copy where it lies in
  // another's destination.
  Operation *terminator = block.getTerminator();
  SmallVector<std::optional<Buffer>> sources(destinations.size());
  for (auto [i, to] : llvm::enumerate(destinations)) {
    Value result = terminator->getOperand(static_cast<unsigned>(i));
    if (isSplat(result))
      continue;
    // Not a phase later: the memory of other results would be free to take.
    Buffer from = bufferIn(result, to.format, schedule.phases() - 1);
    if (from.sameMemory(to))
      continue;
    bool shared =
        llvm::any_of(destinations, [&](const Buffer &other) { return other.sameMemory(from); });
    if (shared) {
      Buffer copy = makeBuffer(result, to.format, schedule.phases() - 1, ScratchAllocator::forever);
      copyBuffer(from, copy);
      from = copy;
    }
    sources[i] = from;
  }
  for (auto [i, to] : llvm::enumerate(destinations)) {
    Value result = terminator->getOperand(static_cast<unsigned>(i));
    if (sources[i])
      copyBuffer(*sources[i], to);
    else if (isSplat(result))
      fillFromSplat(to, result);
  }
  return success();
}

LogicalResult Lowering::lowerRegionOp(Operation *op, int phase, BlockSchedule &schedule,
                                      ArrayRef<Value>, ArrayRef<Buffer>) {
  SmallVector<Value> owners;
  SmallVector<Buffer> results;
  for (OpResult result : op->getResults()) {
    auto [owner, destination] = schedule.handedDown(op, result.getResultNumber());
    bool loopOrResume = isa<scf::ForOp, tile::ResumeOp>(op);
    // A loop or a resume fills its buffers before it reads what it is given.
    if (destination && !(loopOrResume && owner)) {
      owners.push_back(owner);
      results.push_back(*destination);
    } else {
      owners.push_back({});
      if (auto resume = dyn_cast<tile::ResumeOp>(op))
        results.push_back(carriedBuffer(resume, result));
      else if (std::optional<Buffer> resumed = resumedFor(result))
        results.push_back(*resumed);
      else
        results.push_back(makeBuffer(result, plainFormat(result), phase,
                                     std::max(schedule.lastUse(result), phase)));
    }
    buffers[result].push_back(results.back());
  }
  if (auto loop = dyn_cast<scf::ForOp>(op))
    return lowerFor(loop, results);
  if (auto choice = dyn_cast<scf::IndexSwitchOp>(op))
    return lowerSwitch(choice, owners, results);
  if (auto finish = dyn_cast<tile::FinishOp>(op))
    return lowerFinish(finish);
  if (auto resume = dyn_cast<tile::ResumeOp>(op)) {
    lowerResume(resume, results);
    return success();
  }
  return op->emitOpError("has no lowering to host code");
}

/// The buffer that a loop goes on summing in: the carry's own, where nobody else reads it.
std::optional<Buffer> Lowering::resumedFor(OpResult result) const {
  auto loop = dyn_cast<scf::ForOp>(result.getOwner());
  Value init = loop ? loop.getInitArgs()[result.getResultNumber()] : Value();
  if (!init || !init.getDefiningOp<tile::ResumeOp>() || !init.hasOneUse())
    return std::nullopt;
  const Buffer *buffer = findBuffer(init, plainFormat(result));
  return buffer ? std::optional(*buffer) : std::nullopt;
}

void Lowering::moveInto(const Buffer &to, Value tile) {
  if (isSplat(tile))
    return fillFromSplat(to, tile);
  Buffer from = bufferIn(tile, to.format, 0);
  if (!from.sameMemory(to))
    copyBuffer(from, to);
}

LogicalResult Lowering::lowerFor(scf::ForOp loop, ArrayRef<Buffer> results) {
  for (auto [init, argument, buffer] :
       llvm::zip(loop.getInitArgs(), loop.getRegionIterArgs(), results)) {
    moveInto(buffer, init);
    buffers[argument].push_back(buffer);
  }
  auto made =
      scf::ForOp::create(builder, loc, scalars.lookup(loop.getLowerBound()),
                         scalars.lookup(loop.getUpperBound()), scalars.lookup(loop.getStep()));
  scalars[loop.getInductionVar()] = made.getInductionVar();
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPoint(made.getBody()->getTerminator());
  ScratchAllocator::Nested nested(scratch);
  SmallVector<Value> owners(loop.getRegionIterArgs().begin(), loop.getRegionIterArgs().end());
  return lowerBlock(*loop.getBody(), owners, results);
}

LogicalResult Lowering::lowerSwitch(scf::IndexSwitchOp op, ArrayRef<Value> owners,
                                    ArrayRef<Buffer> results) {
  auto made =
      scf::IndexSwitchOp::create(builder, loc, TypeRange(), scalars.lookup(op.getArg()),
                                 op.getCases(), static_cast<unsigned>(op.getCases().size()));
  for (auto [from, to] : llvm::zip(op->getRegions(), made->getRegions())) {
    OpBuilder::InsertionGuard guard(builder);
    builder.createBlock(&to);
    {
      ScratchAllocator::Nested nested(scratch);
      if (failed(lowerBlock(from.front(), owners, results)))
        return failure();
    }
    scf::YieldOp::create(builder, loc);
  }
  return success();
}

/// A tile of the running state where the carry keeps it, or in scratch where there is no carry: one
/// program begins and ends it.
Buffer Lowering::carriedBuffer(tile::ResumeOp resume, OpResult result) {
  KernelFrame::Carry carry = frame.carry(resume.getCarry());
  Buffer buffer = makeBuffer(result, plainFormat(result), 0, ScratchAllocator::forever);
  Value kept = frame.pointerAt(carry.pointer, frame.constant(frame.reserveCarry(buffer.bytes())));
  Value own = bufferPointer(buffer, frame.constant(0));
  buffer.carried = arith::SelectOp::create(builder, loc, carry.kept, kept, own);
  buffer.offset = 0;
  return buffer;
}

void Lowering::lowerResume(tile::ResumeOp op, ArrayRef<Buffer> results) {
  resumes[op.getCarry()] = op;
  auto branch =
      scf::IfOp::create(builder, loc, frame.carry(op.getCarry()).begins, /*withElse=*/false);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(branch.thenBlock());
  for (auto [buffer, init] : llvm::zip(results, op.getInits()))
    moveInto(buffer, init);
}

LogicalResult Lowering::lowerFinish(tile::FinishOp op) {
  auto resume = resumes.lookup(op.getCarry());
  if (!resume)
    return op.emitOpError("finishes a carry that is not resumed before");
  SmallVector<Buffer> tiles;
  for (Value tile : op.getTiles())
    tiles.push_back(bufferIn(tile, plainFormat(tile), ScratchAllocator::forever));
  auto branch = scf::IfOp::create(builder, loc, frame.carry(op.getCarry()).ends, /*withElse=*/true);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(branch.elseBlock());
  keep(op, resume, tiles);
  builder.setInsertionPointToStart(branch.thenBlock());
  ScratchAllocator::Nested nested(scratch);
  return lowerBlock(op.getBody().front(), {}, {});
}

/// Moves to the carry what is not there yet; by way of scratch what lies in another's place.
void Lowering::keep(tile::FinishOp op, tile::ResumeOp resume, MutableArrayRef<Buffer> tiles) {
  SmallVector<Buffer> places;
  for (Value result : resume.getResults())
    places.push_back(*findBuffer(result, plainFormat(result)));
  for (auto [tile, from, to] : llvm::zip(op.getTiles(), tiles, places)) {
    if (!from.carried || from.sameMemory(to))
      continue;
    Buffer copy = makeBuffer(tile, from.format, 0, ScratchAllocator::forever);
    copyBuffer(from, copy);
    from = copy;
  }
  for (auto [from, to] : llvm::zip(tiles, places))
    if (!from.sameMemory(to))
      copyBuffer(from, to);
}

LogicalResult Lowering::lowerScalar(Operation *op) {
  loc = op->getLoc();
  if (scalarCode.lower(op))
    return success();
  if (isa<tile::TileDialect>(op->getDialect()) && !isa<tile::RandomOp>(op))
    return op->emitOpError("has no lowering to host code");
  IRMapping mapping;
  for (Value operand : op->getOperands())
    mapping.map(operand, scalars.lookup(operand));
  Operation *made = builder.clone(*op, mapping);
  for (auto [from, to] : llvm::zip(op->getResults(), made->getResults()))
    mapping.map(from, to);
  scalarCode.expand(made, &mapping, op);
  for (Value result : op->getResults())
    scalars[result] = mapping.lookup(result);
  return success();
}
