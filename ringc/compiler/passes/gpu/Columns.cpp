// A column of numbers that moves with a loop, as lse and delta do: copied ahead with the tiles of
// its round, and read from shared memory where it is needed, so that no thread waits for memory,
// keeps the numbers in registers, or computes as many addresses as it holds numbers.

#include "ringc/compiler/passes/gpu/Lowering.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace ringc;
using namespace ringc::gpu;
using Kind = FragmentLayout::Kind;

/// cp.async moves 4 bytes at least: f32 and i32. It fills with zeros alone.
bool Lowering::isStreamedColumn(tile::LoadOp load) const {
  tile::ViewType view = load.getView().getType();
  return view.getRank() == 1 && view.getElementType().getIntOrFloatBitWidth() == 32 &&
         load.getType().getDimSize(0) > 1 && !load.getFill() && !load.getWhere() &&
         !load.getRows() && !goesToShared(load);
}

/// The column as one row.
SharedTile Lowering::columnPlaceOf(tile::LoadOp load) const {
  FragmentLayout layout = layoutOf(load.getResult());
  SharedTile place;
  place.rows = place.paddedRows = 1;
  place.columns = load.getType().getDimSize(0);
  place.paddedColumns = layout.kind == Kind::AlongM ? reachM(layout) : reachN(layout);
  place.elementBytes = 4;
  return place;
}

/// Starts copying the column, a number a thread; zeros outside.
void Lowering::copyColumn(tile::LoadOp load, const SharedTile &place) {
  loc = load.getLoc();
  Window window =
      windowOf(load.getView().getType(), load.getView(), load.getOffsets(), load.getType());
  for (int64_t first = 0; first < place.paddedColumns; first += threads()) {
    Value row = first ? add(thread, i32(first)) : thread;
    OpBuilder::InsertionGuard guard(builder);
    if (first + threads() > place.paddedColumns) {
      Value mine = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, row,
                                         i32(place.paddedColumns));
      auto branch = scf::IfOp::create(builder, loc, mine, /*withElseRegion=*/false);
      builder.setInsertionPointToStart(branch.thenBlock());
    }
    Value in = rowInside(window, row);
    Value from =
        arith::SelectOp::create(builder, loc, in, rowPointer(window, row), window.view->pointer);
    Value size = arith::SelectOp::create(builder, loc, in, i32(4), i32(0));
    Value to = add(mul(row, 4), i32(place.offset));
    if (place.stage)
      to = add(to, place.stage);
    call("llvm.nvvm.cp.async.ca.shared.global.4.s", {sharedPointer(to), global(from), size});
  }
}

/// What this thread holds of a column in shared memory; neighbours along n two at a time.
void Lowering::readColumn(tile::LoadOp load, const SharedTile &place) {
  FragmentLayout layout = layoutOf(load.getResult());
  Type element = load.getType().getElementType();
  Fragment made{layout, {}};
  auto at = [&](Value index) {
    Value offset = add(mul(index, 4), i32(place.offset));
    return sharedPointer(place.stage ? add(offset, place.stage) : offset);
  };
  if (layout.kind == Kind::AlongM) {
    for (int64_t e = 0; e < layout.count(); ++e)
      made.elements.push_back(this->load(element, at(mAt(e))));
  } else {
    for (int64_t e = 0; e < layout.count(); e += 2) {
      Value both = LLVM::LoadOp::create(builder, loc, VectorType::get({2}, element), at(nAt(e)),
                                        /*alignment=*/8);
      for (int64_t i : {0, 1})
        made.elements.push_back(LLVM::ExtractElementOp::create(builder, loc, both, i32(i)));
    }
  }
  fragments[load.getResult()] = made;
}
