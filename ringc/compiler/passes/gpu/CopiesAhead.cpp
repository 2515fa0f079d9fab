// Which windows of a loop may be copied while the round before is computed.

#include "ringc/compiler/passes/gpu/CopiesAhead.h"

#include "ringc/compiler/passes/gpu/Staging.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/OperationSupport.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;
using namespace ringc;
using namespace ringc::gpu;

CopiedWindow CopiedWindow::of(Operation *op) {
  if (auto load = dyn_cast<tile::LoadOp>(op))
    return {load.getView(),
            load.getOffsets(),
            load.getRows(),
            load.getWhere(),
            {load.getType().getDimSize(0), load.getType().getDimSize(1)}};
  auto copy = cast<block::CopyOp>(op);
  block::BufferType buffer = copy.getBuffer().getType();
  return {copy.getView(),
          copy.getOffsets(),
          copy.getRows(),
          copy.getWhere(),
          {buffer.getRows(), buffer.getColumns()}};
}

scf::IfOp ringc::gpu::writerOf(Value words) {
  for (Operation *user : words.getUsers())
    if (isa<block::ShareOp, block::ShareSeenOp>(user))
      return dyn_cast<scf::IfOp>(user->getParentOp());
  return {};
}

/// Whether words are written by the same computation.
static bool keepTheSame(Value a, Value b) {
  if (a == b)
    return true;
  llvm::DenseMap<Value, Value> same{{a, b}};
  auto areSame = [&](Value left, Value right) {
    return success(left == right || same.lookup(left) == right);
  };
  return a.getType() == b.getType() && OperationEquivalence::isEquivalentTo(
                                           writerOf(a), writerOf(b), areSame,
                                           [&](Value left, Value right) { same[left] = right; },
                                           OperationEquivalence::IgnoreLocations);
}

/// A column of numbers that moves with a loop, as lse and delta do: read from shared memory where
/// it is needed, so that no thread waits for memory, keeps the numbers in registers, or computes as
/// many addresses as it holds numbers. cp.async moves 4 bytes at least: f32 and i32. It fills with
/// zeros alone.
static bool isStreamedColumn(tile::LoadOp load) {
  tile::ViewType view = load.getView().getType();
  return view.getRank() == 1 && view.getElementType().getIntOrFloatBitWidth() == 32 &&
         load.getType().getDimSize(0) > 1 && !load.getFill() && !load.getWhere() && !load.getRows();
}

/// The column as one row.
static block::BufferType bufferOf(tile::LoadOp column) {
  FragmentLayout layout = block::layoutOf(column.getResult());
  WarpGrid grid = block::warpsOf(column->getParentOfType<func::FuncOp>());
  SharedTile place;
  place.rows = place.paddedRows = 1;
  place.columns = column.getType().getDimSize(0);
  place.paddedColumns =
      layout.kind == FragmentLayout::Kind::AlongM ? grid.reachM(layout) : grid.reachN(layout);
  place.elementBytes = 4;
  place.rowAxis = 1;
  return block::typeOf(place, column.getType().getElementType());
}

namespace {

class Search {
public:
  Search(scf::ForOp of, const GpuTarget &on) : loop(of), target(on) {}

  CopiesAhead run() {
    SmallVector<Block *> ways = waysThrough();
    if (ways.empty())
      return {};
    for (Operation &load : *ways.front())
      if (mayBeAhead(&load))
        take(&load, ways);
    int64_t whereBytes = found.where ? block::bytesOf(found.where.getType()) : 0;
    if (sharedTopBefore(loop) + 2 * found.stageBytes + whereBytes > target.sharedBytes)
      return {};
    return std::move(found);
  }

private:
  /// The loop's body, or all cases of its switch that read any window.
  SmallVector<Block *> waysThrough() {
    SmallVector<Block *> ways{loop.getBody()};
    for (Operation &op : loop.getBody()->without_terminator()) {
      if (auto visibility = dyn_cast<tile::VisibilityOp>(op)) {
        if (found.visibility || !isKnownAhead(visibility->getOperands()))
          return {};
        found.visibility = visibility;
      }
      if (auto choice = dyn_cast<scf::IndexSwitchOp>(op)) {
        ways.clear();
        for (Region &region : choice->getRegions())
          if (llvm::any_of(region.front(), llvm::IsaPred<tile::LoadOp, block::CopyOp>))
            ways.push_back(&region.front());
      }
    }
    return ways;
  }

  void take(Operation *load, ArrayRef<Block *> ways) {
    CopiesAhead::Each each;
    for (Block *way : ways)
      for (Operation &other : *way)
        if (mayBeAhead(&other) && CopiedWindow::of(load) == CopiedWindow::of(&other)) {
          each.names.push_back(&other);
          break;
        }
    if (each.names.size() != ways.size() || each.names.front() != load)
      return; // not in all ways, or what has been taken before
    auto copy = dyn_cast<block::CopyOp>(load);
    if (copy && copy.getWhere())
      found.where = copy.getWhere();
    each.buffer = copy ? copy.getBuffer().getType() : bufferOf(cast<tile::LoadOp>(load));
    found.stageBytes += block::placeOf(each.buffer).bytes();
    found.windows.push_back(each);
  }

  bool mayBeAhead(Operation *op) {
    auto column = dyn_cast<tile::LoadOp>(op);
    auto copy = dyn_cast<block::CopyOp>(op);
    if (copy ? copy.getFill() || !rowsAreKnownAhead(copy) : !column || !isStreamedColumn(column))
      return false;
    CopiedWindow window = CopiedWindow::of(op);
    if (isKnownAhead(window.view) && isKnownAhead(window.offsets))
      return llvm::is_contained(window.offsets, loop.getInductionVar());
    llvm::SetVector<Operation *> makers;
    if (!isNamedAhead(window, makers))
      return false;
    found.places.insert(makers.begin(), makers.end());
    return true;
  }

  /// All copies that leave out rows leave out the same: where the visibility of the tile asks for
  /// it.
  bool rowsAreKnownAhead(block::CopyOp copy) {
    Value where = copy.getWhere();
    if (!where)
      return true;
    scf::IfOp branch = copy.getCondition() ? writerOf(where) : scf::IfOp();
    if (!branch || !found.visibility || (found.where && !keepTheSame(found.where, where)))
      return false;
    auto condition = branch.getCondition().getDefiningOp<arith::CmpIOp>();
    bool known = condition && condition.getLhs() == found.visibility.getResult();
    branch.getThenRegion().walk([&](Operation *op) {
      for (Value operand : op->getOperands())
        known &= branch.getThenRegion().isAncestor(operand.getParentRegion()) || operand == where ||
                 isKnownAhead(operand);
    });
    return known;
  }

  /// Windows whose place is known a round ahead: what moves them is the loop alone.
  bool isKnownAhead(ValueRange places) {
    return llvm::all_of(places, [&](Value place) {
      return place == loop.getInductionVar() ||
             !loop.getRegion().isAncestor(place.getParentRegion());
    });
  }

  /// Windows whose place the round says by way of scalars of the loop, among them elements of a
  /// view, or in a part of a view that is taken in the loop. `makers` are what computes the place,
  /// in order.
  bool followsFromRound(Value value, llvm::SetVector<Operation *> &makers) {
    if (value == loop.getInductionVar() || !loop.getRegion().isAncestor(value.getParentRegion()))
      return true;
    Operation *maker = value.getDefiningOp();
    if (!maker || maker->getNumRegions() || !isPure(maker) || tile::isTile(value.getType()) ||
        isa<tile::VisibilityOp>(maker))
      return false;
    if (!makers.contains(maker)) {
      for (Value operand : maker->getOperands())
        if (!followsFromRound(operand, makers))
          return false;
      makers.insert(maker);
    }
    return true;
  }

  bool isNamedAhead(const CopiedWindow &window, llvm::SetVector<Operation *> &makers) {
    auto isRound = [&](Value value) { return value == loop.getInductionVar(); };
    auto follows = [&](Value value) { return followsFromRound(value, makers); };
    return !window.rows && follows(window.view) && llvm::all_of(window.offsets, follows) &&
           llvm::any_of(makers, llvm::IsaPred<tile::ElementOp, tile::SliceOp>) &&
           (llvm::any_of(window.offsets, isRound) || llvm::any_of(makers, [&](Operation *maker) {
              return llvm::any_of(maker->getOperands(), isRound);
            }));
  }

  scf::ForOp loop;
  const GpuTarget &target;
  CopiesAhead found;
};

} // namespace

CopiesAhead CopiesAhead::of(scf::ForOp loop, const GpuTarget &target) {
  return Search(loop, target).run();
}
