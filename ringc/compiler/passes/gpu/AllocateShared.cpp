// Places in shared memory, as a stack: a buffer begins behind those that stand before it and have
// not been released, and has its place to the end of its block.

#include "ringc/compiler/passes/gpu/Staging.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace ringc;
using namespace ringc::gpu;

static int64_t inLines(int64_t bytes) {
  return static_cast<int64_t>(llvm::alignTo(static_cast<uint64_t>(bytes), SharedTile::lineBytes));
}

int64_t ringc::gpu::sharedBytesOf(block::BufferOp op) {
  int64_t stage = 0;
  for (Type type : op.getResultTypes())
    stage += inLines(block::bytesOf(type));
  return static_cast<int64_t>(op.getStages()) * stage;
}

int64_t ringc::gpu::sharedTopBefore(Operation *op) {
  Operation *around = op->getParentOp();
  int64_t top = isa<func::FuncOp>(around) ? 0 : sharedTopBefore(around);
  llvm::DenseMap<Operation *, int64_t> places;
  for (Operation &each : *op->getBlock()) {
    if (&each == op)
      break;
    if (auto buffer = dyn_cast<block::BufferOp>(each)) {
      places[buffer] = top;
      top += sharedBytesOf(buffer);
    } else if (auto release = dyn_cast<block::ReleaseOp>(each)) {
      top = places.lookup(release.getBuffer().getDefiningOp());
    }
  }
  return top;
}

namespace {

class Allocation {
public:
  explicit Allocation(func::FuncOp ofKernel)
      : grid(block::warpsOf(ofKernel)), builder(ofKernel.getContext()) {
    allocate(ofKernel.front());
  }
  int64_t bytes() const { return highWater; }

private:
  void allocate(Block &block) {
    int64_t before = top;
    for (Operation &op : llvm::make_early_inc_range(block))
      allocate(&op);
    top = before;
  }

  void allocate(Operation *op) {
    if (auto buffer = dyn_cast<block::BufferOp>(op)) {
      buffer.setAt(top);
      top += sharedBytesOf(buffer);
      highWater = std::max(highWater, top);
    } else if (auto release = dyn_cast<block::ReleaseOp>(op)) {
      top = static_cast<int64_t>(*release.getBuffer().getDefiningOp<block::BufferOp>().getAt());
    } else if (auto store = dyn_cast<block::StoreOp>(op)) {
      SharedTile place = placeBehindLoops(store);
      if (place.columns)
        storeThrough(store, place);
    }
    for (Region &region : op->getRegions())
      for (Block &inner : region)
        allocate(inner);
  }

  /// Where columns of a tile fit that this program alone writes, as rows: in shared memory that the
  /// block has needed before, and needs no more. No columns: nowhere.
  SharedTile placeBehindLoops(block::StoreOp store) const {
    Type element = cast<RankedTensorType>(store.getTile().getType()).getElementType();
    FragmentLayout layout = block::layoutOf(store.getTile());
    SharedTile place;
    if (isInLoop(store) || layout.kind != FragmentLayout::Kind::Matrix || layout.mAxis != 0 ||
        !isa<FloatType>(element) || store.getAtomic() || store.getView().getType().isOfSums())
      return place;
    place.rows = place.paddedRows = layout.mExtent;
    place.elementBytes = bytesInMemory(element);
    for (place.paddedColumns = grid.reachN(layout); place.paddedColumns > 0;
         place.paddedColumns -= grid.nTurn())
      if (top + place.bytes() <= highWater)
        break;
    place.columns = std::min(place.paddedColumns, layout.nExtent);
    return place;
  }

  /// As many columns at a time as there is room for.
  void storeThrough(block::StoreOp store, const SharedTile &place) {
    Location loc = store.getLoc();
    builder.setInsertionPoint(store);
    auto type = cast<RankedTensorType>(store.getTile().getType());
    block::ThreadAgainOp::create(builder, loc);
    auto buffer = block::BufferOp::create(builder, loc,
                                          TypeRange{block::typeOf(place, type.getElementType())});
    buffer.setAt(top);
    for (int64_t first = 0; first < type.getDimSize(1); first += place.columns) {
      block::ShareOp::create(builder, loc, store.getTile(), buffer.getResult(0), first);
      block::StoreSharedOp::create(builder, loc, buffer.getResult(0), store.getView(),
                                   store.getOffsets(), store.getRows(), store.getAdd(), first,
                                   type.getDimSize(1));
    }
    block::ReleaseOp::create(builder, loc, buffer.getResult(0));
    store.erase();
  }

  WarpGrid grid;
  OpBuilder builder;
  int64_t top = 0, highWater = 0;
};

} // namespace

int64_t ringc::gpu::allocateShared(func::FuncOp kernel) { return Allocation(kernel).bytes(); }
