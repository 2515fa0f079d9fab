#include "ringc/compiler/passes/gpu/Shares.h"

#include "ringc/compiler/passes/gpu/Applied.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace ringc;
using namespace ringc::gpu;
using Kind = FragmentLayout::Kind;

LogicalResult Shares::lower(block::ShareOp op) {
  if (auto there = words.find(op.getBuffer()); there != words.end())
    return writeColumn(op.getTile(), there->second);
  FailureOr<Fragment> given = whole(op.getTile(), op);
  if (failed(given))
    return failure();
  Fragment tile = expanded(*given, layoutOf(op.getTile()));
  SharedTile place = shared.lookup(op.getBuffer());
  // Of a tile that is stored in parts some columns.
  int64_t first = static_cast<int64_t>(op.getFirst());
  Fragment part{tile.layout, {}};
  part.layout.nExtent = std::min(place.columns, tile.layout.nExtent - first);
  part.layout.nBlocks = llvm::divideCeil(part.layout.nExtent, grid.nTurn()) * 2;
  for (int64_t e = 0; e < part.layout.count(); ++e)
    part.elements.push_back(tile.elements[static_cast<size_t>(
        tile.layout.at(part.layout.mOf(e), part.layout.nOf(e) + first / grid.nTurn() * 4))]);
  writeShared(part, place);
  return success();
}

/// From registers to shared memory. Elements of a thread that are neighbours along n go together.
/// What the fragments reach beyond the tile is written as zero, which products may then sum over.
void Shares::writeShared(const Fragment &fragment, const SharedTile &place) {
  const FragmentLayout &layout = fragment.layout;
  Type element = fragment.elements.front().getType();
  auto below = [&](Value index, int64_t extent) -> Value {
    return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, index, i32(extent));
  };
  auto kept = [&](Value value, int64_t m, int64_t n) {
    if (grid.mMayExceed(m, layout.mExtent))
      value = arith::SelectOp::create(builder, loc, below(mAt(m), layout.mExtent), value,
                                      zeroOf(element));
    if (grid.nMayExceed(n, layout.nExtent))
      value = arith::SelectOp::create(builder, loc, below(nAt(n), layout.nExtent), value,
                                      zeroOf(element));
    return value;
  };
  for (int64_t e = 0; e < layout.count(); e += 2) {
    int64_t m = layout.mOf(e), n = layout.nOf(e);
    Value low = kept(fragment.elements[static_cast<size_t>(e)], m, n),
          high = kept(fragment.elements[static_cast<size_t>(e) + 1], m, n + 1);
    OpBuilder::InsertionGuard guard(builder);
    if (grid.mMayExceed(m, place.paddedRows)) { // some warps are behind the tile
      auto branch = scf::IfOp::create(builder, loc, below(mAt(m), place.paddedRows),
                                      /*withElseRegion=*/false);
      builder.setInsertionPointToStart(branch.thenBlock());
    }
    Value both;
    if (element.isF32()) {
      both = LLVM::UndefOp::create(builder, loc, VectorType::get({2}, element));
      both = LLVM::InsertElementOp::create(builder, loc, both, low, i32(0));
      both = LLVM::InsertElementOp::create(builder, loc, both, high, i32(1));
    } else {
      both = pack(low, high);
    }
    Value to =
        placeIn(place, {mBase, grid.mFurther(m)}, {nBase, grid.nFurther(n), bitsOf(6, grid.n)});
    LLVM::StoreOp::create(builder, loc, both, to, static_cast<unsigned>(2 * place.elementBytes));
  }
}

/// Each thread one key: it is seen where the run of queries that see it meets the tile's.
void Shares::lower(block::ShareSeenOp op) {
  Masks masks(code);
  Masks::VisibleRows queries(Masks::Applied(masks, Masks::Applied::placeOf(op)),
                             /*alongKeys=*/false);
  int64_t keys = static_cast<int64_t>(op.getKeys()), offset = words.lookup(op.getWords());
  Value own = threadAgain();
  for (int64_t first = 0; first < keys; first += threads()) {
    Value key = first ? add(own, i32(first)) : own;
    OpBuilder::InsertionGuard guard(builder);
    if (first + threads() > keys) {
      Value mine = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, key, i32(keys));
      auto branch = scf::IfOp::create(builder, loc, mine, /*withElseRegion=*/false);
      builder.setInsertionPointToStart(branch.thenBlock());
    }
    Value seen = queries.meets(first, key, static_cast<int64_t>(op.getQueries()));
    Value flag = arith::ExtUIOp::create(builder, loc, builder.getI32Type(), seen);
    store(flag, sharedPointer(mul(key, 4), offset));
  }
}

/// A column of i1 or i32 as i32 in shared memory.
LogicalResult Shares::writeColumn(Value column, int64_t offset) {
  FailureOr<Fragment> given = whole(column, column.getDefiningOp());
  if (failed(given))
    return failure();
  FragmentLayout layout = layoutOf(column);
  Fragment flags = expanded(*given, layout);
  bool alongM = layout.kind == Kind::AlongM;
  int64_t extent = alongM ? layout.mExtent : layout.nExtent;
  Value writes = alongM
                     ? arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, nBase, i32(0))
                     : arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, mBase, i32(0));
  for (int64_t e = 0; e < layout.count(); ++e) {
    Value at = alongM ? mAt(layout.mOf(e)) : nAt(layout.nOf(e));
    Value in = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, at, i32(extent));
    in = arith::AndIOp::create(builder, loc, in, writes);
    auto branch = scf::IfOp::create(builder, loc, in, /*withElseRegion=*/false);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(branch.thenBlock());
    Value flag = flags.elements[static_cast<size_t>(e)];
    if (flag.getType().isInteger(1))
      flag = arith::ExtUIOp::create(builder, loc, builder.getI32Type(), flag);
    store(flag, sharedPointer(mul(at, 4), offset));
  }
  return success();
}
