#include "ringc/compiler/passes/cpu/LaneAnalysis.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace ringc;
using namespace ringc::cpu;

static bool isTileValue(Value value) { return tile::isTile(value.getType()); }

static int64_t extent(Value tile, int axis) {
  return cast<RankedTensorType>(tile.getType()).getDimSize(axis);
}

LaneAnalysis::LaneAnalysis(func::FuncOp kernel, Constants constants, int64_t lanes)
    : ofConstants(constants), lanesOfVector(lanes) {
  kernel.walk([&](Operation *op) { visit(op); });
}

int LaneAnalysis::find(int id) const {
  while (parent[id] != id)
    id = parent[id] = parent[parent[id]];
  return id;
}

int LaneAnalysis::axisClass(Value tile, int axis) {
  auto [it, inserted] = first.try_emplace(tile, static_cast<int>(parent.size()));
  if (inserted)
    for (int i = 0; i < 2; ++i) {
      parent.push_back(static_cast<int>(parent.size()));
      grid.push_back(0);
    }
  return find(it->second + axis);
}

void LaneAnalysis::identify(Value a, int axisOfA, Value b, int axisOfB) {
  auto isConstant = [](Value tile) {
    return tile.getDefiningOp<arith::ConstantOp>() || tile.getDefiningOp<tile::SplatOp>();
  };
  if (ofConstants == Constants::Ignore && (isConstant(a) || isConstant(b)))
    return;
  if ((extent(a, axisOfA) == 1) != (extent(b, axisOfB) == 1))
    return;
  int left = axisClass(a, axisOfA), right = axisClass(b, axisOfB);
  parent[right] = left;
  grid[left] = std::max(grid[left], grid[right]);
}

void LaneAnalysis::identifyAll(Value a, Value b) {
  identify(a, 0, b, 0);
  identify(a, 1, b, 1);
}

/// The grid axis of `program_id axis * step`, or -1.
static int gridAxis(Value offset) {
  auto product = offset.getDefiningOp<arith::MulIOp>();
  Value factor = product ? product.getLhs() : offset;
  auto id = factor.getDefiningOp<tile::ProgramIdOp>();
  if (!id && product)
    id = product.getRhs().getDefiningOp<tile::ProgramIdOp>();
  return id ? static_cast<int>(id.getAxis()) : -1;
}

void LaneAnalysis::markWindow(Value tile, ValueRange offsets) {
  for (auto [axis, offset] : llvm::enumerate(offsets)) {
    int &mark = grid[axisClass(tile, static_cast<int>(axis))];
    mark = std::max(mark, gridAxis(offset) + 1);
  }
}

void LaneAnalysis::visit(Operation *op) {
  if (auto load = dyn_cast<tile::LoadOp>(op)) {
    markWindow(load.getResult(), load.getOffsets());
    if (load.getWhere())
      identify(load.getWhere(), 0, load.getResult(), 0);
    if (load.getRows())
      identify(load.getRows(), 0, load.getResult(), 0);
    return;
  }
  if (auto store = dyn_cast<tile::StoreOp>(op)) {
    if (store.getRows())
      identify(store.getRows(), 0, store.getTile(), 0);
    return markWindow(store.getTile(), store.getOffsets());
  }
  if (auto dot = dyn_cast<tile::DotOp>(op)) {
    identify(dot.getA(), 0, dot.getResult(), 0);
    identify(dot.getB(), 1, dot.getResult(), 1);
    identify(dot.getA(), 1, dot.getB(), 0);
    if (dot.getAcc())
      identifyAll(dot.getAcc(), dot.getResult());
    return;
  }
  if (auto transpose = dyn_cast<tile::TransposeOp>(op)) {
    identify(transpose.getOperand(), 0, transpose.getResult(), 1);
    return identify(transpose.getOperand(), 1, transpose.getResult(), 0);
  }
  if (auto loop = dyn_cast<scf::ForOp>(op)) {
    for (auto [init, argument, result, yielded] :
         llvm::zip(loop.getInitArgs(), loop.getRegionIterArgs(), loop.getResults(),
                   loop.getYieldedValues())) {
      identifyAll(init, argument); // which a constant takes no part in
      identifyAll(argument, result);
      identifyAll(argument, yielded);
    }
    return;
  }
  if (isa<scf::IndexSwitchOp, scf::IfOp>(op)) {
    for (Region &region : op->getRegions())
      for (auto [result, yielded] :
           llvm::zip(op->getResults(), region.front().getTerminator()->getOperands()))
        identifyAll(result, yielded);
    return;
  }
  if (auto resume = dyn_cast<tile::ResumeOp>(op)) {
    for (auto [init, result] : llvm::zip(resume.getInits(), resume.getResults()))
      identifyAll(init, result);
    return;
  }
  // Reductions, broadcasts and everything elementwise: an axis of extent 1 is none of another
  // extent.
  for (Value result : op->getResults())
    if (isTileValue(result))
      for (Value operand : op->getOperands())
        if (isTileValue(operand))
          identifyAll(operand, result);
}

int LaneAnalysis::laneAxis(Value tile) const {
  if (extent(tile, 0) == 1)
    return 1;
  if (extent(tile, 1) == 1)
    return 0;
  auto it = first.find(tile);
  if (it == first.end())
    return 1;
  int rows = grid[find(it->second)], columns = grid[find(it->second + 1)];
  int own = rows > columns ? 0 : 1;
  bool isShort = std::max(rows, columns) > 0 && 2 * extent(tile, own) <= lanesOfVector &&
                 2 * extent(tile, own) <= extent(tile, 1 - own);
  return isShort ? 1 - own : own;
}

int LaneAnalysis::classOf(Value tile, int axis) const {
  auto it = first.find(tile);
  return it == first.end() ? -1 : find(it->second + axis);
}

int LaneAnalysis::gridMark(Value tile, int axis) const {
  int axisClass = classOf(tile, axis);
  return axisClass < 0 ? 0 : grid[axisClass];
}
