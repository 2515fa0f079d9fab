// How tiles lie in the registers of a block's threads: which axis is m, and what is a matrix.

#include "ringc/compiler/passes/gpu/Layouts.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

#include <algorithm>

using namespace mlir;
using namespace ringc;
using namespace ringc::gpu;

static RankedTensorType typeOf(Value tile) { return cast<RankedTensorType>(tile.getType()); }

std::pair<Value, bool> ringc::gpu::throughTransposes(Value tile) {
  bool swapped = false;
  while (auto transpose = tile.getDefiningOp<tile::TransposeOp>()) {
    tile = transpose.getOperand();
    swapped = !swapped;
  }
  return {tile, swapped};
}

Layouts::Layouts(func::FuncOp k, const GpuTarget &target)
    : kernel(k), axes(k, cpu::LaneAnalysis::Constants::Ignore) {
  findSingleMatrices();
  kernel.walk([&](tile::DotOp dot) { chooseTransposed(dot); });
  chooseWarps(target);
}

bool Layouts::isRead(tile::LoadOp load, bool byProducts) {
  SmallVector<Value> names{load.getResult()};
  bool found = false;
  for (size_t i = 0; i < names.size(); ++i)
    for (OpOperand &use : names[i].getUses()) {
      Operation *user = use.getOwner();
      if (isa<tile::TransposeOp>(user))
        names.push_back(user->getResult(0));
      else
        found |= (isa<tile::DotOp>(user) && use.getOperandNumber() < 2) == byProducts;
    }
  return found;
}

std::array<int64_t, 2> Layouts::extentsRead(Value tile) const {
  std::array<int64_t, 2> extents;
  for (unsigned axis : {0, 1})
    extents[axis] = llvm::divideCeil(typeOf(tile).getDimSize(axis), 16) * 16;
  SmallVector<Value> names{tile};
  for (size_t i = 0; i < names.size(); ++i)
    for (OpOperand &use : names[i].getUses()) {
      if (isa<tile::TransposeOp>(use.getOwner()))
        names.push_back(use.getOwner()->getResult(0));
      auto dot = dyn_cast<tile::DotOp>(use.getOwner());
      unsigned operand = use.getOperandNumber();
      if (!dot || operand > 1)
        continue;
      FragmentLayout layout = of(dot.getResult());
      bool isLeft = (operand == 0) == (layout.mAxis == 0);
      unsigned axis = throughTransposes(use.get()).second ? 1 - operand : operand;
      extents[axis] = std::max(extents[axis], isLeft ? grid.reachM(layout) : grid.reachN(layout));
    }
  return extents;
}

bool Layouts::isMatrix(Value tile) const {
  return tile::isTile(tile.getType()) &&
         ((typeOf(tile).getDimSize(0) > 1 && typeOf(tile).getDimSize(1) > 1) ||
          singleMatrices.contains(tile));
}

/// Single rows and columns that products or sums read or make, and what is computed of those:
/// matrices, as wide as mma.sync needs them. A head of dimension 1 has such.
void Layouts::findSingleMatrices() {
  SmallVector<Value> open;
  auto meet = [&](Value tile) {
    if (isMatrix(tile))
      return;
    singleMatrices.insert(tile);
    if (!tile.getDefiningOp<arith::ConstantOp>() && !tile.getDefiningOp<tile::SplatOp>())
      open.push_back(tile); // a constant is made anew for each user
  };
  auto meetCarried = [&](scf::ForOp loop, unsigned place) {
    meet(loop.getInitArgs()[place]); // which a resumed state is
    meet(loop.getRegionIterArg(place));
    meet(loop.getResult(place));
  };
  // A state in the order that the launch before left it in.
  auto meetState = [&](Value carry, unsigned place) {
    for (Operation *user : carry.getUsers())
      if (auto resume = dyn_cast<tile::ResumeOp>(user))
        meet(resume.getResult(place));
      else if (auto finish = dyn_cast<tile::FinishOp>(user))
        meet(finish.getTiles()[place]);
  };
  kernel.walk([&](Operation *op) {
    if (auto dot = dyn_cast<tile::DotOp>(op)) {
      for (Value tile : {dot.getA(), dot.getB(), dot.getResult()})
        meet(tile);
    } else if (auto load = dyn_cast<tile::LoadOp>(op)) {
      if (load.getView().getType().isOfSums())
        meet(load.getResult());
    } else if (auto store = dyn_cast<tile::StoreOp>(op)) {
      if (store.getView().getType().isOfSums())
        meet(store.getTile());
    }
  });
  while (!open.empty()) {
    Value tile = open.pop_back_val();
    if (auto transpose = tile.getDefiningOp<tile::TransposeOp>())
      meet(transpose.getOperand());
    if (auto loop = tile.getDefiningOp<scf::ForOp>())
      meetCarried(loop, cast<OpResult>(tile).getResultNumber());
    if (auto resume = tile.getDefiningOp<tile::ResumeOp>())
      meetState(resume.getCarry(), cast<OpResult>(tile).getResultNumber());
    for (OpOperand &use : tile.getUses()) {
      Operation *user = use.getOwner();
      unsigned place = use.getOperandNumber();
      if (auto loop = dyn_cast<scf::ForOp>(user)) {
        meetCarried(loop, place - loop.getNumControlOperands());
      } else if (isa<scf::YieldOp>(user)) {
        if (auto around = dyn_cast<scf::ForOp>(user->getParentOp()))
          meetCarried(around, place);
        else
          meet(user->getParentOp()->getResult(place));
      } else if (auto finish = dyn_cast<tile::FinishOp>(user)) {
        meetState(finish.getCarry(), place - 1);
      } else if (!isa<tile::DotOp, tile::ReduceOp, tile::BroadcastOp, tile::LoadOp>(user)) {
        for (Value result : user->getResults())
          if (tile::isTile(result.getType()))
            meet(result);
      }
    }
  }
}

/// m of a matrix: the axis that moves with the program. Where both do or none, rows, unless a
/// product's result needs its columns.
int Layouts::mAxisOf(Value tile) const {
  bool rows = axes.gridMark(tile, 0) > 0, columns = axes.gridMark(tile, 1) > 0;
  if (rows != columns)
    return columns ? 1 : 0;
  return columnsAreM.contains({axes.classOf(tile, 0), axes.classOf(tile, 1)}) ? 1 : 0;
}

/// A product that sums over m of a computed tile takes it as its right operand, since the left one
/// needs all of that axis in one warp: m of the result is the other operand's axis.
void Layouts::chooseTransposed(tile::DotOp dot) {
  auto [left, swapped] = throughTransposes(dot.getA());
  auto load = left.getDefiningOp<tile::LoadOp>();
  if ((load && goesToShared(load)) || !isMatrix(left) || !isMatrix(dot.getResult()))
    return;
  bool sumsOverM = mAxisOf(left) == (swapped ? 0 : 1);
  if (sumsOverM)
    columnsAreM.insert({axes.classOf(dot.getResult(), 0), axes.classOf(dot.getResult(), 1)});
}

void Layouts::chooseWarps(const GpuTarget &target) {
  int64_t fewest = 16 * target.warps;
  kernel.walk([&](Operation *op) {
    if (isa<tile::TransposeOp, tile::SplatOp, arith::ConstantOp>(op))
      return;
    for (Value result : op->getResults()) {
      if (!isMatrix(result))
        continue;
      if (auto load = dyn_cast<tile::LoadOp>(op); load && !goesToRegisters(load))
        continue;
      int axis = mAxisOf(result);
      mClasses.insert(axes.classOf(result, axis));
      if (axis == 0 || axes.gridMark(result, axis) > 0)
        fewest = std::min(fewest, typeOf(result).getDimSize(axis));
    }
  });
  grid.n = target.nWarps;
  grid.m = std::clamp<int64_t>(llvm::divideCeil(fewest, 16), 1, target.warps / grid.n);
}

void Layouts::setM(FragmentLayout &layout, int64_t extent) const {
  layout.mExtent = extent;
  layout.mBlocks = llvm::divideCeil(extent, grid.mTurn());
}

void Layouts::setN(FragmentLayout &layout, int64_t extent) const {
  layout.nExtent = extent;
  layout.nBlocks = llvm::divideCeil(extent, grid.nTurn()) * 2;
}

FragmentLayout Layouts::of(Value tile) const {
  if (!isMatrix(tile))
    return ofSingle(tile);
  int64_t rows = typeOf(tile).getDimSize(0), columns = typeOf(tile).getDimSize(1);
  FragmentLayout layout;
  layout.kind = FragmentLayout::Kind::Matrix;
  layout.mAxis = mAxisOf(tile);
  setM(layout, layout.mAxis == 0 ? rows : columns);
  setN(layout, layout.mAxis == 0 ? columns : rows);
  return layout;
}

FragmentLayout Layouts::ofSingle(Value tile) const {
  int64_t rows = typeOf(tile).getDimSize(0), columns = typeOf(tile).getDimSize(1);
  FragmentLayout layout;
  if (rows == 1 && columns == 1)
    return layout;
  int axis = rows > 1 ? 0 : 1;
  if (mClasses.contains(axes.classOf(tile, axis))) {
    layout.kind = FragmentLayout::Kind::AlongM;
    setM(layout, rows * columns);
  } else {
    layout.kind = FragmentLayout::Kind::AlongN;
    setN(layout, rows * columns);
  }
  return layout;
}
