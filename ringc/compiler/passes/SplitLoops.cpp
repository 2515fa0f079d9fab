// split-loops: a masked loop becomes a loop that asks what the mask shows of each tile.
//
// before
//     %r = tile.masked_for @mask over 1 from %c0 to %nk step 128 at %qpos, %kpos fixed %rows
//     init(%a : A) : ... -> A { ^bb0(%cols: i32, %seen: tensor<64x128xi1>, %x: A):
//       body(%cols, %seen, %x)
//     }
// after
//     %r = scf.for %cols = %c0 to %nk step %c128 iter_args(%x = %a) : i32 {
//       %class = tile.visibility @mask.visibility over 1 at %qpos[%rows : 64], %kpos[%cols : 128] :
//       ... %y = scf.index_switch %class case 0 { scf.yield %x } case 1 { %seen = tile.apply @mask
//       at %qpos[%rows], %kpos[%cols] : ... ; body(%cols, %seen, %x) } default { body(%cols, true,
//       %x), in which nothing is selected any more } scf.yield %y
//     }
//
// With the option bodies=one the body stands once, for code that is large and where a branch costs
// nothing: what is selected by the mask is selected in a branch of its own, or in one with others.
// What such a selection alone is computed from is not selected before.
//
//     %y = scf.index_switch %class case 0 { scf.yield %x } default {
//       %part = arith.cmpi eq, %class, %c1
//       body(%cols, _, %x), where arith.select %seen, %a, %b is
//         scf.if %part { %seen = tile.apply @mask ...; scf.yield (arith.select %seen, %a, %b) }
//         else { scf.yield %a }
//     }
//
// In a tile that is seen in part windows of keys (of Nk at the loop's row, and those that are
// marked of_keys) leave out the rows that no query sees (KeyMask.h): they may hold NaN, and 0 * NaN
// is NaN. Where the loop is over queries, windows of the fixed keys that are loaded before it leave
// out what the key alone hides; the same windows loaded in it are those, except in a tile seen in
// part where a query at hand may make a difference.
//
// Assumes that calls are inlined (specialise). Afterwards no tile.masked_for is left.

#include "ringc/compiler/passes/KeyMask.h"
#include "ringc/compiler/passes/MaskExpression.h"
#include "ringc/compiler/passes/Passes.h"
#include "ringc/compiler/passes/ScalarFunction.h"
#include "ringc/compiler/passes/TileFolds.h"
#include "ringc/compiler/passes/VisibilityFunction.h"

#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace ringc {

#define GEN_PASS_DEF_SPLITLOOPS
#include "ringc/compiler/passes/Passes.h.inc"

namespace {

bool isWindowOfKeys(tile::LoadOp load, Value row) {
  return load.getView().getType().getExtentName(0) == "Nk" && load.getOffsets().front() == row &&
         !load.getRows() && !load.getWhere();
}

bool isMask(func::FuncOp function) {
  return isScalarFunction(function) && function.getResultTypes()[0].isInteger(1) &&
         llvm::all_of(function.getArgumentTypes().take_front(maskParametersBegin),
                      [](Type type) { return type.isInteger(32); });
}

/// What a body selects by one mask, and how few branches do.
class Selections {
public:
  Selections(Block &body, Value seen) {
    for (auto select : body.getOps<arith::SelectOp>())
      if (select.getCondition() == seen)
        selects.push_back(select);
    for (arith::SelectOp select : selects)
      skip(select);
    llvm::erase_if(selects, [](arith::SelectOp select) {
      bool unused = select.use_empty();
      if (unused)
        select.erase();
      return unused;
    });
  }

  /// Those that one branch may make, in order: nothing reads the first before the last is there.
  SmallVector<SmallVector<arith::SelectOp>> inBranches() {
    SmallVector<SmallVector<arith::SelectOp>> branches;
    for (arith::SelectOp select : selects) {
      bool joins = !branches.empty() && llvm::all_of(branches.back(), [&](arith::SelectOp other) {
        return llvm::all_of(other->getUsers(), [&](Operation *user) {
          Operation *inBlock = select->getBlock()->findAncestorOpInBlock(*user);
          return inBlock && select->isBeforeInBlock(inBlock);
        });
      });
      if (!joins)
        branches.emplace_back();
      branches.back().push_back(select);
    }
    return branches;
  }

private:
  /// What another selection by the same mask is computed from need not be selected: where it would
  /// make a difference the other is not taken.
  void skip(arith::SelectOp select) {
    select.getResult().replaceUsesWithIf(select.getTrueValue(),
                                         [&](OpOperand &use) { return isSelectedAnyway(use); });
  }

  bool isSelectedAnyway(OpOperand &first) {
    SmallVector<OpOperand *> open{&first};
    llvm::DenseSet<Operation *> met; // what passes its operand on, each looked at once
    while (!open.empty()) {
      OpOperand &use = *open.pop_back_val();
      Operation *user = use.getOwner();
      if (auto select = dyn_cast<arith::SelectOp>(user);
          select && llvm::is_contained(selects, select)) {
        if (use.getOperandNumber() != 1)
          return false;
        continue;
      }
      if (!user->hasTrait<OpTrait::Elementwise>() || !isPure(user))
        return false;
      if (met.insert(user).second)
        for (OpOperand &next : user->getResult(0).getUses())
          open.push_back(&next);
    }
    return true;
  }

  SmallVector<arith::SelectOp> selects;
};

/// One masked loop on its way to a scf.for.
class Split {
public:
  Split(tile::MaskedForOp op, func::FuncOp maskFunction, LoopBodies loopBodies)
      : masked(op), mask(maskFunction), bodies(loopBodies), keyMask(keyMaskOf(maskFunction)),
        builder(op), loc(op.getLoc()), seenType(cast<RankedTensorType>(op.getSeen().getType())) {
    // Memory that holds keys of several sequences has them behind the last query's, too.
    op.getBody().walk([&](tile::LoadOp load) {
      if (load.getOfKeys() && loopsOverKeys())
        keyMask.kind = KeyMask::Kind::Window;
    });
  }

  void run() {
    if (!loopsOverKeys())
      maskFixedKeys();
    Value step = constantI32(masked.getStep());
    auto loop = scf::ForOp::create(
        builder, loc, masked.getLower(), masked.getUpper(), step, masked.getInits(),
        [&](OpBuilder &, Location, Value row, ValueRange state) { emitBody(row, state); });
    masked.replaceAllUsesWith(loop.getResults());
    masked.erase();
  }

private:
  bool loopsOverKeys() { return masked.getLoopAxis() == 1; }
  Value queryRow(Value row) { return loopsOverKeys() ? masked.getFixedRow() : row; }
  Value keyRow(Value row) { return loopsOverKeys() ? row : masked.getFixedRow(); }
  int64_t keys() { return seenType.getDimSize(1); }

  Value constantI32(int64_t value) {
    return arith::ConstantOp::create(builder, loc, builder.getI32IntegerAttr(value));
  }

  Value apply(func::FuncOp function, Type type, Value query, Value key) {
    return tile::ApplyOp::create(builder, loc, type, function.getName(), Value(),
                                 masked.getQueryPositions(), query, masked.getKeyPositions(), key,
                                 masked.getParameters(), false);
  }

  void emitBody(Value row, ValueRange state) {
    func::FuncOp visibility = visibilityFunctionOf(mask);
    Value shown = tile::VisibilityOp::create(
        builder, loc, builder.getI32Type(), visibility.getName(), masked.getQueryPositions(),
        queryRow(row), seenType.getDimSize(0), masked.getKeyPositions(), keyRow(row), keys(),
        masked.getLoopAxis(), masked.getParameters());
    Value index = arith::IndexCastUIOp::create(builder, loc, builder.getIndexType(), shown);
    SmallVector<int64_t> cases{0};
    if (bodies == LoopBodies::Two)
      cases.push_back(1);
    auto branch = scf::IndexSwitchOp::create(builder, loc, state.getTypes(), index, cases,
                                             static_cast<unsigned>(cases.size()));
    OpBuilder::InsertionGuard guard(builder);
    builder.createBlock(&branch.getCaseRegions()[0]);
    scf::YieldOp::create(builder, loc, state);
    switch (bodies) {
    case LoopBodies::Two:
      builder.createBlock(&branch.getCaseRegions()[1]);
      emitPartialBody(row, state);
      builder.createBlock(&branch.getDefaultRegion());
      cloneBody(row, everything(seenType), state);
      reuseFixedKeys(&branch.getDefaultRegion().front());
      break;
    case LoopBodies::One:
      builder.createBlock(&branch.getDefaultRegion());
      emitOnlyBody(row, shown, state);
      break;
    }
    builder.setInsertionPointAfter(branch);
    scf::YieldOp::create(builder, loc, branch.getResults());
  }

  void emitPartialBody(Value row, ValueRange state) {
    Value seen = apply(mask, seenType, queryRow(row), keyRow(row));
    Value kept = leavesOutKeys() ? keysKept(seen, row) : Value();
    Block *body = builder.getInsertionBlock();
    cloneBody(row, seen, state);
    if (keyMask.kind != KeyMask::Kind::Window)
      reuseFixedKeys(body);
    if (kept)
      leaveOut(*body, row, kept);
  }

  /// Whether the tile is seen in part is asked where it matters: at the windows of keys and at what
  /// the mask selects.
  void emitOnlyBody(Value row, Value shown, ValueRange state) {
    Value part =
        arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, shown, constantI32(1));
    auto inPart = [&](function_ref<SmallVector<Value>(Value seen)> then, ValueRange otherwise) {
      auto branch = scf::IfOp::create(builder, loc, otherwise.getTypes(), part, true);
      OpBuilder::InsertionGuard guard(builder);
      builder.setInsertionPointToStart(branch.thenBlock());
      Value seen = apply(mask, seenType, queryRow(row), keyRow(row));
      scf::YieldOp::create(builder, loc, then(seen));
      builder.setInsertionPointToStart(branch.elseBlock());
      scf::YieldOp::create(builder, loc, otherwise);
      return branch;
    };
    Value kept;
    if (leavesOutKeys() && keyMask.kind != KeyMask::Kind::None) {
      auto type = RankedTensorType::get({keys(), 1}, builder.getI1Type());
      auto keys = [&](Value seen) { return SmallVector<Value>{keysKept(seen, row)}; };
      kept = inPart(keys, everything(type)).getResult(0);
    }
    auto itself = [](Value seen) { return SmallVector<Value>{seen}; };
    Value all = inPart(itself, everything(seenType)).getResult(0);
    Block *body = builder.getInsertionBlock();
    cloneBody(row, all, state);
    if (keyMask.kind != KeyMask::Kind::Window)
      reuseFixedKeys(body);
    if (kept)
      leaveOut(*body, row, kept);
    auto selections = Selections(*body, all).inBranches();
    for (ArrayRef<arith::SelectOp> together : selections) {
      OpBuilder::InsertionGuard guard(builder);
      builder.setInsertionPoint(together.back());
      SmallVector<Value> otherwise;
      for (arith::SelectOp select : together)
        otherwise.push_back(select.getTrueValue());
      auto chosen = [&](Value mine) {
        SmallVector<Value> values;
        for (arith::SelectOp select : together)
          values.push_back(arith::SelectOp::create(builder, select.getLoc(), mine,
                                                   select.getTrueValue(), select.getFalseValue()));
        return values;
      };
      scf::IfOp branch = inPart(chosen, otherwise);
      for (auto [select, result] : llvm::zip(together, branch.getResults())) {
        arith::SelectOp before = select;
        before.replaceAllUsesWith(result);
        before.erase();
      }
    }
    if (all.use_empty())
      all.getDefiningOp()->erase();
  }

  Value everything(RankedTensorType type) {
    return arith::ConstantOp::create(builder, loc, DenseElementsAttr::get(type, true));
  }

  void leaveOut(Block &body, Value row, Value kept) {
    body.walk([&](tile::LoadOp load) {
      bool isOfKeys = load.getOfKeys() ? loopsOverKeys() : isWindowOfKeys(load, keyRow(row));
      if (isOfKeys && load.getType().getDimSize(0) == keys())
        load.getWhereMutable().assign(kept);
    });
  }

  void cloneBody(Value row, Value seen, ValueRange state) {
    IRMapping mapping;
    mapping.map(masked.getInductionVar(), row);
    mapping.map(masked.getSeen(), seen);
    mapping.map(masked.getIterArgs(), state);
    for (Operation &op : masked.getBody().front().without_terminator())
      builder.clone(op, mapping);
    SmallVector<Value> results;
    for (Value value : masked.getBody().front().getTerminator()->getOperands())
      results.push_back(mapping.lookupOrDefault(value));
    scf::YieldOp::create(builder, loc, results);
  }

  bool leavesOutKeys() { return loopsOverKeys() || loadsFixedKeys(); }

  /// Whether a loop over queries loads a window of its fixed keys.
  bool loadsFixedKeys() {
    return llvm::any_of(masked.getBody().front().getOps<tile::LoadOp>(), [&](tile::LoadOp load) {
      return isWindowOfKeys(load, masked.getFixedRow());
    });
  }

  /// Windows of fixed keys that were loaded before the loop are not loaded in it.
  void reuseFixedKeys(Block *block) {
    if (loopsOverKeys())
      return;
    for (auto load : llvm::make_early_inc_range(block->getOps<tile::LoadOp>())) {
      if (!isWindowOfKeys(load, masked.getFixedRow()))
        continue;
      for (auto before : masked->getBlock()->getOps<tile::LoadOp>())
        if (before->isBeforeInBlock(masked) && before.getView() == load.getView() &&
            before.getOffsets() == load.getOffsets() && before.getFill() == load.getFill() &&
            before.getType() == load.getType()) {
          load.replaceAllUsesWith(before.getResult());
          load.erase();
          break;
        }
    }
  }

  /// The column of keys that a partial tile may read; null where that is all of them.
  Value keysKept(Value seen, Value row) {
    auto rowType = RankedTensorType::get({1, keys()}, builder.getI1Type());
    Value kept;
    switch (keyMask.kind) {
    case KeyMask::Kind::None:
      return {};
    case KeyMask::Kind::Keys:
      kept = apply(keyMask.function, rowType, queryRow(row), keyRow(row));
      break;
    case KeyMask::Kind::Window:
      kept = anyQuerySees(seen, rowType);
      break;
    }
    return column(kept);
  }

  /// In f32, where every target can reduce.
  Value anyQuerySees(Value seen, RankedTensorType rowType) {
    Type f32 = builder.getF32Type();
    auto full = [&](RankedTensorType type, float value) -> Value {
      auto dense = DenseElementsAttr::get(type.clone(f32), value);
      return arith::ConstantOp::create(builder, loc, dense);
    };
    Value ones = arith::SelectOp::create(builder, loc, seen, full(seenType, 1), full(seenType, 0));
    Value most =
        tile::ReduceOp::create(builder, loc, rowType.clone(f32), tile::ReduceKind::Max, ones, 0);
    return arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OGT, most, full(rowType, 0));
  }

  Value column(Value row) {
    auto type = RankedTensorType::get({keys(), 1}, builder.getI1Type());
    return tile::TransposeOp::create(builder, loc, type, row);
  }

  /// Whether the tile is seen by this loop alone, unchanged or through pure operations before it.
  bool flowsIntoLoopAlone(Value tile) {
    SmallVector<Value> open{tile};
    llvm::DenseSet<Operation *> met;
    while (!open.empty())
      for (Operation *user : open.pop_back_val().getUsers()) {
        if (masked->isProperAncestor(user) || !met.insert(user).second)
          continue;
        if (!isPure(user) || user->getNumResults() == 0)
          return false;
        open.append(user->result_begin(), user->result_end());
      }
    return true;
  }

  void maskFixedKeys() {
    auto isArgument = [](Value value) { return isa<BlockArgument>(value); };
    if (!keyMask.function || !llvm::all_of(masked.getParameters(), isArgument))
      return;
    SmallVector<tile::LoadOp> loads;
    for (Operation &op : *masked->getBlock()) {
      auto load = dyn_cast<tile::LoadOp>(op);
      if (load && isWindowOfKeys(load, masked.getFixedRow()) &&
          load.getType().getDimSize(0) == keys() && flowsIntoLoopAlone(load))
        loads.push_back(load);
    }
    if (loads.empty())
      return;
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPoint(loads.front());
    auto rowType = RankedTensorType::get({1, keys()}, builder.getI1Type());
    Value kept = column(apply(keyMask.function, rowType, constantI32(0), masked.getFixedRow()));
    for (tile::LoadOp load : loads)
      load.getWhereMutable().assign(kept);
  }

  tile::MaskedForOp masked;
  func::FuncOp mask;
  LoopBodies bodies;
  KeyMask keyMask;
  OpBuilder builder;
  Location loc;
  RankedTensorType seenType;
};

class SplitLoops : public impl::SplitLoopsBase<SplitLoops> {
  using SplitLoopsBase::SplitLoopsBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    SmallVector<tile::MaskedForOp> loops;
    module.walk([&](tile::MaskedForOp loop) { loops.push_back(loop); }); // inner ones first
    SetVector<func::FuncOp> kernels;
    for (tile::MaskedForOp loop : loops) {
      auto mask = module.lookupSymbol<func::FuncOp>(loop.getFunction());
      auto kernel = loop->getParentOfType<func::FuncOp>();
      if (!kernel || !isMask(mask)) {
        loop.emitOpError() << loop.getFunctionAttr()
                           << " is not a function of b, h, i, j, queryRow, keyRow and parameters "
                              "with one i1 result";
        return signalPassFailure();
      }
      kernels.insert(kernel);
      Split(loop, mask, bodies).run();
    }
    for (func::FuncOp kernel : kernels)
      if (failed(fold(kernel)))
        return signalPassFailure();
  }

  /// Selects by a tile of true, above all.
  LogicalResult fold(func::FuncOp kernel) {
    RewritePatternSet patterns(&getContext());
    arith::SelectOp::getCanonicalizationPatterns(patterns, &getContext());
    addTileFolds(patterns);
    return applyPatternsGreedily(kernel, std::move(patterns));
  }
};

} // namespace

} // namespace ringc
