// place-tiles: where every tile lies, and what goes from registers to shared memory and back.
//
//   before  %k = tile.load %view[%keys, %c0] : ... -> tensor<64x128xbf16>
//           %kt = tile.transpose %k
//           %s = tile.dot %q, %kt : tensor<128x128xbf16>, tensor<128x64xbf16> -> tensor<128x64xf32>
//   after   %b = block.buffer : !block.buffer<64x128xbf16 in 64x128, swizzled>
//           block.copy %view[%keys, %c0] to %b
//           %s = block.product left %qb by %b {left_k = 1, right_k = 1, block.layouts =
//                [#block.fragment<matrix, m = 0, blocks = 2x8>]} : ... -> tensor<128x64xf32>
//
// A product's operand is either a window of a view, copied to shared memory, or a tile that the
// block has computed, which becomes the left operand by packing its registers, the right one
// through shared memory. Reductions that several warps take part in get words to exchange; rows
// that a tile names, and rows that are left out, are told to all threads by words too.
//
//   assumes one kernel in the module, after split-loops; nothing is said yet of who waits for whom

#include "ringc/compiler/passes/gpu/PlaceTiles.h"

#include "ringc/compiler/passes/KernelInterface.h"
#include "ringc/compiler/passes/MaskExpression.h"
#include "ringc/compiler/passes/gpu/Placement.h"
#include "ringc/compiler/passes/gpu/RowsKept.h"
#include "ringc/compiler/spec/KernelFile.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Iterators.h"

#include <nlohmann/json.hpp>

using namespace mlir;
using namespace ringc;
using namespace ringc::gpu;

void Placement::writeLayouts() {
  kernel.walk([&](Operation *op) {
    SmallVector<FragmentLayout> made;
    for (Value result : op->getResults())
      made.push_back(tile::isTile(result.getType()) ? layouts.of(result) : FragmentLayout());
    if (llvm::any_of(op->getResultTypes(), tile::isTile))
      block::setLayouts(op, made);
  });
}

/// Whether a product reads a tile, or its transpose, where mma.sync wants n; or where it wants m,
/// and a warp does not have whole rows.
void Placement::findOperands() {
  kernel.walk([&](tile::DotOp dot) {
    unsigned right = block::layoutOf(dot.getResult()).mAxis == 0 ? 1 : 0;
    for (unsigned operand : {0, 1}) {
      Value tile = throughTransposes(dot->getOperand(operand)).first;
      extentsRead[tile] = layouts.extentsRead(tile);
      if (grid.n > 1 || operand == right)
        readFromShared.insert(tile);
    }
  });
}

void Placement::eraseUnread() {
  kernel.walk<WalkOrder::PostOrder, ReverseIterator>([&](Operation *op) {
    if (isa<tile::LoadOp, tile::TransposeOp>(op) && op->use_empty())
      op->erase();
    else if (auto branch = dyn_cast<scf::IfOp>(op);
             branch && branch.getNumResults() && op->use_empty())
      op->erase(); // the rows that copies keep
  });
}

/// What is known of a tile is known of what stands for it.
void Placement::replace(Operation *op, Value by) {
  Value tile = op->getResult(0);
  if (auto read = extentsRead.find(tile); read != extentsRead.end()) {
    std::array<int64_t, 2> extents = read->second;
    extentsRead[by] = extents;
  }
  if (readFromShared.contains(tile))
    readFromShared.insert(by);
  if (Value buffer = buffers.lookup(tile))
    buffers[by] = buffer;
  tile.replaceAllUsesWith(by);
  op->erase();
}

LogicalResult Placement::place(Block &block) {
  auto namedBefore = named;
  for (Operation &op : llvm::make_early_inc_range(block.without_terminator()))
    if (failed(place(&op)))
      return failure();
  named = namedBefore;
  return success();
}

LogicalResult Placement::place(Operation *op) {
  loc = op->getLoc();
  builder.setInsertionPoint(op);
  if (auto load = dyn_cast<tile::LoadOp>(op))
    return placeLoad(load);
  if (auto store = dyn_cast<tile::StoreOp>(op))
    return placeStore(store), success();
  if (auto dot = dyn_cast<tile::DotOp>(op))
    return placeProduct(dot);
  if (auto reduce = dyn_cast<tile::ReduceOp>(op))
    return placeReduce(reduce);
  if (auto branch = dyn_cast<scf::IfOp>(op);
      branch && branch.getNumResults() == 1 && rowsKeptBranch(branch.getResult(0)))
    return success(); // copies see to it
  if (op->getNumRegions()) {
    for (Region &region : op->getRegions())
      if (!region.empty() && failed(place(region.front())))
        return failure();
    return success();
  }
  if (isa<tile::ApplyOp, tile::TransposeOp, tile::ResumeOp>(op) || op->getNumResults() != 1 ||
      !tile::isTile(op->getResult(0).getType()))
    return success();
  if (isa<tile::BroadcastOp>(op)) {
    FailureOr<Value> operand = collapsed(op->getOperand(0), op);
    if (failed(operand))
      return failure();
    op->setOperand(0, *operand);
  }
  if (readFromShared.contains(op->getResult(0))) {
    builder.setInsertionPointAfter(op);
    buffers[op->getResult(0)] = share(op->getResult(0));
  }
  return success();
}

namespace {

struct PlaceTiles : PassWrapper<PlaceTiles, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(PlaceTiles)

  explicit PlaceTiles(GpuTarget gpu) : target(std::move(gpu)) {}

  StringRef getArgument() const override { return "place-tiles"; }
  StringRef getDescription() const override {
    return "Gives every tile a layout in registers or a place in shared memory";
  }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<block::BlockDialect, scf::SCFDialect>();
  }

  void runOnOperation() override {
    ModuleOp module = getOperation();
    func::FuncOp function = kernelOf(module);
    if (!function) {
      module.emitError("no function has the attribute tile.kernel");
      return signalPassFailure();
    }
    CompiledKernel kernel = interfaceOf(function);
    kernel.format = CompiledKernel::Format::Ptx;
    kernel.mask = maskOf(function);
    module->setAttr("tile.interface", StringAttr::get(&getContext(), toJson(kernel).dump()));
    if (failed(Placement(function, target).run()))
      signalPassFailure();
  }

  GpuTarget target;
};

} // namespace

std::unique_ptr<Pass> ringc::createPlaceTilesPass(const GpuTarget &target) {
  return std::make_unique<PlaceTiles>(target);
}
