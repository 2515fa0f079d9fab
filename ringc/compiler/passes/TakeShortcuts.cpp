// take-shortcuts: rows that agree go the quick way.
//
// before
//     %e = tile.shortcut %rows, %quick, %always : tensor<64x1xi1>, tensor<64x128xf32>
// after, with branches
//     %all = tile.all %rows : tensor<64x1xi1>
//     %e = scf.if %all {
//       what %quick alone is computed from; scf.yield %quick
//     } else {
//       what %always alone is computed from
//       scf.yield (arith.select (tile.broadcast %rows), %quick, %always), with %quick computed
//       again
//     }
// after, without
//     %e = %always
//
// Shortcuts by one condition go one way, row by row, and share a branch where what they are
// computed from is there in time. The condition of a row decides what becomes of that row: no other
// row, and no target's idea of which rows agree, makes a difference to it.
//
// After max-before-scale: what scales a tile moves into the multiply-add that a shortcut is for.

#include "ringc/compiler/passes/Passes.h"

#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;

namespace ringc {

#define GEN_PASS_DEF_TAKESHORTCUTS
#include "ringc/compiler/passes/Passes.h.inc"

namespace {

bool isElementwise(Operation *op) {
  return op->getNumResults() == 1 && op->getNumRegions() == 0 && isPure(op) &&
         (op->hasTrait<OpTrait::Elementwise>() || isa<tile::BroadcastOp, tile::SplatOp>(op)) &&
         tile::isTile(op->getResult(0).getType());
}

/// fma(shortcut(rows, x * a, y), c, d) -> fma(shortcut(rows, x, y / a), a * c, d), for one number
/// a: the quick way is x as it is. y / a differs by its rounding, relative to what it is.
void scaleInMultiplyAdd(tile::ShortcutOp shortcut) {
  auto product = shortcut.getQuick().getDefiningOp<arith::MulFOp>();
  auto scale = product ? product.getRhs().getDefiningOp<tile::SplatOp>() : tile::SplatOp();
  auto fma = shortcut->hasOneUse() ? dyn_cast<math::FmaOp>(*shortcut->user_begin()) : math::FmaOp();
  DenseFPElementsAttr constant;
  if (!scale || !fma || fma.getA() != shortcut.getResult() ||
      !matchPattern(fma.getB(), m_Constant(&constant)) || !constant.isSplat())
    return;
  OpBuilder builder(shortcut);
  Location loc = shortcut.getLoc();
  auto number = [&](float value) -> Value {
    return arith::ConstantOp::create(builder, loc, builder.getF32FloatAttr(value));
  };
  Value both = builder.createOrFold<arith::MulFOp>(loc, scale.getValue(),
                                                   number(constant.getSplatValue<float>()));
  Type type = shortcut.getType();
  shortcut.getAlwaysMutable().assign(
      arith::DivFOp::create(builder, loc, shortcut.getAlways(), product.getRhs()));
  shortcut.getQuickMutable().assign(product.getLhs());
  fma.getBMutable().assign(tile::SplatOp::create(builder, loc, type, both));
}

/// Whether all of the tile is there before anything is computed from it: the sums of a product, or
/// what is reduced. Others are computed element by element, together with what comes of them: a
/// branch would keep the whole tile, and whatever the rest shares with it, in registers.
bool isWhole(Value tile) {
  if (llvm::any_of(tile.getUsers(), [](Operation *user) { return isa<tile::ReduceOp>(user); }))
    return true;
  auto scaled = tile.getDefiningOp<arith::MulFOp>();
  return tile.getDefiningOp<tile::DotOp>() ||
         (scaled && scaled.getRhs().getDefiningOp<tile::SplatOp>() && isWhole(scaled.getLhs()));
}

/// Whether a branch pays for the condition's shortcuts, which all go one way.
bool mayBranch(Value rows) {
  return llvm::all_of(rows.getUsers(), [](Operation *user) {
    auto shortcut = dyn_cast<tile::ShortcutOp>(user);
    return !shortcut || cast<RankedTensorType>(shortcut.getType()).getDimSize(1) == 1 ||
           isWhole(shortcut.getQuick());
  });
}

/// Shortcuts by one condition, in order, in one block.
class Branch {
public:
  explicit Branch(ArrayRef<tile::ShortcutOp> together)
      : shortcuts(together), first(shortcuts.front()), builder(first), loc(first.getLoc()) {}

  /// Whether everything that the shortcut is computed from stands before the first one, or may be
  /// computed in the branch.
  static bool joins(tile::ShortcutOp first, tile::ShortcutOp next) {
    SmallVector<Value> open{next.getQuick(), next.getAlways()};
    while (!open.empty()) {
      Operation *maker = open.pop_back_val().getDefiningOp();
      if (!maker || maker->getBlock() != first->getBlock() || maker->isBeforeInBlock(first))
        continue;
      if (!isElementwise(maker))
        return false;
      open.append(maker->operand_begin(), maker->operand_end());
    }
    return true;
  }

  void make() {
    builder.setInsertionPointAfterValue(first.getRows());
    Value all = tile::AllOp::create(builder, loc, builder.getI1Type(), first.getRows());
    builder.setInsertionPoint(first);
    SmallVector<Type> types;
    for (tile::ShortcutOp each : shortcuts)
      types.push_back(each.getType());
    auto branch = scf::IfOp::create(builder, loc, types, all, /*withElseRegion=*/true);
    {
      OpBuilder::InsertionGuard guard(builder);
      builder.setInsertionPointToStart(branch.thenBlock());
      IRMapping mapping;
      SmallVector<Value> yielded;
      for (tile::ShortcutOp each : shortcuts)
        yielded.push_back(computed(each.getQuick(), mapping));
      scf::YieldOp::create(builder, loc, yielded);
      builder.setInsertionPointToStart(branch.elseBlock());
      mapping.clear();
      yielded.clear();
      for (tile::ShortcutOp each : shortcuts) {
        Value quick = computed(each.getQuick(), mapping);
        Value always = computed(each.getAlways(), mapping);
        auto type = cast<RankedTensorType>(each.getType());
        Value rows = each.getRows();
        if (type.getDimSize(1) != 1)
          rows = tile::BroadcastOp::create(builder, loc, type.clone(builder.getI1Type()), rows);
        yielded.push_back(arith::SelectOp::create(builder, loc, rows, quick, always));
      }
      scf::YieldOp::create(builder, loc, yielded);
    }
    for (auto [each, result] : llvm::zip(shortcuts, branch.getResults())) {
      each.getResult().replaceAllUsesWith(result);
      SmallVector<Operation *> makers{each.getQuick().getDefiningOp(),
                                      each.getAlways().getDefiningOp()};
      each.erase();
      eraseUnused(makers);
    }
  }

private:
  /// The value, where it has to be in the branch: what the shortcuts alone read, and what comes
  /// after the first of them.
  Value computed(Value value, IRMapping &mapping) {
    if (Value known = mapping.lookupOrNull(value))
      return known;
    Operation *maker = value.getDefiningOp();
    if (!maker || maker->getBlock() != first->getBlock() || !isElementwise(maker) ||
        (maker->isBeforeInBlock(first) && !isOfShortcuts(maker)))
      return value;
    for (Value operand : maker->getOperands())
      computed(operand, mapping);
    builder.clone(*maker, mapping);
    return mapping.lookup(value);
  }

  /// What was computed before the branch, and is in it now: it would be found to be the same.
  void eraseUnused(SmallVectorImpl<Operation *> &open) {
    llvm::DenseSet<Operation *> erased;
    while (!open.empty()) {
      Operation *op = open.pop_back_val();
      if (!op || erased.contains(op) || !isElementwise(op) || !op->use_empty())
        continue;
      for (Value operand : op->getOperands())
        open.push_back(operand.getDefiningOp());
      erased.insert(op);
      op->erase();
    }
  }

  /// Whether nothing but the shortcuts is computed from it.
  bool isOfShortcuts(Operation *maker) {
    return llvm::all_of(maker->getUsers(), [&](Operation *user) {
      if (auto shortcut = dyn_cast<tile::ShortcutOp>(user))
        return llvm::is_contained(shortcuts, shortcut) &&
               !llvm::is_contained(maker->getResults(), shortcut.getRows());
      return user->getBlock() == maker->getBlock() && isElementwise(user) && isOfShortcuts(user);
    });
  }

  SmallVector<tile::ShortcutOp> shortcuts;
  tile::ShortcutOp first;
  OpBuilder builder;
  Location loc;
};

struct TakeShortcuts : impl::TakeShortcutsBase<TakeShortcuts> {
  using TakeShortcutsBase::TakeShortcutsBase;

  void runOnOperation() override {
    SmallVector<tile::ShortcutOp> open;
    getOperation().walk([&](tile::ShortcutOp each) { open.push_back(each); });
    llvm::DenseSet<Value> branching;
    for (tile::ShortcutOp each : open)
      if (branches && mayBranch(each.getRows()))
        branching.insert(each.getRows());
    llvm::erase_if(open, [&](tile::ShortcutOp each) {
      if (branching.contains(each.getRows()))
        return false;
      each.replaceAllUsesWith(each.getAlways());
      each.erase();
      return true;
    });
    llvm::for_each(open, scaleInMultiplyAdd);
    while (!open.empty()) {
      tile::ShortcutOp first = open.front();
      SmallVector<tile::ShortcutOp> together;
      for (tile::ShortcutOp each : open)
        if (each->getBlock() == first->getBlock() && each.getRows() == first.getRows() &&
            Branch::joins(first, each))
          together.push_back(each);
      llvm::erase_if(open,
                     [&](tile::ShortcutOp each) { return llvm::is_contained(together, each); });
      Branch(together).make();
    }
  }
};

} // namespace

} // namespace ringc
