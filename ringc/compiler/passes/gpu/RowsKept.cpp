// Rows of a window that are left out, because no query of a tile sees them.

#include "ringc/compiler/passes/gpu/RowsKept.h"

#include "ringc/compiler/passes/gpu/Layouts.h"
#include "ringc/compiler/passes/gpu/MaskRuns.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace ringc;
using namespace ringc::gpu;

scf::IfOp ringc::gpu::rowsKeptBranch(Value where) {
  auto branch = where ? where.getDefiningOp<scf::IfOp>() : scf::IfOp();
  bool alone = branch && branch.getNumResults() == 1 && tile::isTile(where.getType()) &&
               llvm::all_of(branch.getResult(0).getUses(), [](OpOperand &use) {
                 auto load = dyn_cast<tile::LoadOp>(use.getOwner());
                 return load && load.getWhere() == use.get();
               });
  return alone && matchPattern(branch.elseYield().getOperand(0), m_One()) ? branch : scf::IfOp();
}

tile::ApplyOp ringc::gpu::maskBehind(Value rows) {
  auto positive = throughTransposes(rows).first.getDefiningOp<arith::CmpFOp>();
  auto most = positive ? positive.getLhs().getDefiningOp<tile::ReduceOp>() : tile::ReduceOp();
  if (!most || most.getKind() != tile::ReduceKind::Max || most.getAxis() != 0 ||
      positive.getPredicate() != arith::CmpFPredicate::OGT ||
      !matchPattern(positive.getRhs(), m_AnyZeroFloat()))
    return {};
  auto ones = most.getOperand().getDefiningOp<arith::SelectOp>();
  if (!ones || !matchPattern(ones.getTrueValue(), m_OneFloat()) ||
      !matchPattern(ones.getFalseValue(), m_AnyZeroFloat()))
    return {};
  return ones.getCondition().getDefiningOp<tile::ApplyOp>();
}

bool ringc::gpu::isOneRun(tile::ApplyOp mask, scf::IfOp branch) {
  bool isKnown = llvm::none_of(mask->getOperands(), [&](Value operand) {
    return branch->isAncestor(operand.getParentBlock()->getParentOp());
  });
  if (mask.getOperand() || !isKnown)
    return false;
  auto function = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(mask, mask.getFunctionAttr());
  return MaskRuns(function, /*alongKeys=*/false).areAll();
}
