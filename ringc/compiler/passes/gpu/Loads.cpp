// Windows of views as tiles in registers.

#include "ringc/compiler/passes/gpu/Loads.h"
#include "ringc/compiler/passes/gpu/Sums.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace ringc;
using namespace ringc::gpu;
using Kind = FragmentLayout::Kind;

static std::array<int64_t, 2> extentsOf(Value tile) {
  auto type = cast<RankedTensorType>(tile.getType());
  return {type.getDimSize(0), type.getDimSize(1)};
}

LogicalResult Loads::lower(block::LoadOp load) {
  Window window =
      windowOf(load.getView(), load.getOffsets(), extentsOf(load.getResult()), load.getRows());
  return loadWindow(load.getResult(), window, load.getFill(), load.getWhere());
}

LogicalResult Loads::lower(tile::LoadOp load) {
  if (load.getView().getType().isOfSums())
    return Sums(code).lower(load);
  Window window = windowOf(load.getView(), load.getOffsets(), extentsOf(load.getResult()));
  return loadWindow(load.getResult(), window, load.getFill(), load.getWhere());
}

/// A window's elements, `given` (null: 0) outside.
LogicalResult Loads::loadWindow(Value result, const Window &window, Value given, Value whereKept) {
  auto type = cast<RankedTensorType>(result.getType());
  Type inMemory = typeInMemory(window.view->element);
  FragmentLayout layout = layoutOf(result);
  Value fill = zeroOf(type.getElementType());
  if (given) {
    auto constant = given.getDefiningOp<arith::ConstantOp>();
    fill = constant ? arith::ConstantOp::create(builder, loc, constant.getValue()).getResult()
                    : scalars.lookup(given);
  }
  std::optional<Fragment> where;
  if (whereKept)
    where = fragmentOf(whereKept);
  Places places = placesOf(window, layout, type);
  auto kept = [&](const Places::Row &row) -> Value {
    if (!where)
      return row.in;
    int64_t e = row.elements.front();
    Value one =
        where->elements[static_cast<size_t>(where->layout.at(layout.mOf(e), layout.nOf(e)))];
    return arith::AndIOp::create(builder, loc, row.in, one);
  };
  // `together` neighbours by one instruction, the first of which says whether its column is inside.
  auto readRow = [&](const Places::Row &row, size_t together) {
    SmallVector<Value> values;
    for (size_t i = 0; i < row.elements.size(); i += together) {
      Value from = frame.pointerAt(row.pointer, frame.constant(row.bytes[i]));
      if (row.columnIn[i])
        from = arith::SelectOp::create(builder, loc, row.columnIn[i], from, window.view->pointer);
      Type read = together == 1 ? inMemory : VectorType::get({2}, inMemory);
      Value loaded = this->load(read, global(from));
      for (size_t each = 0; each < together; ++each) {
        Value value = loaded;
        if (together > 1)
          value =
              LLVM::ExtractElementOp::create(builder, loc, loaded, i32(static_cast<int64_t>(each)));
        if (type.getElementType().isInteger(1))
          value = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ne, value,
                                        zeroOf(inMemory));
        if (row.columnIn[i])
          value = arith::SelectOp::create(builder, loc, row.columnIn[i], value, fill);
        values.push_back(value);
      }
    }
    return values;
  };
  auto readAll = [&](size_t together) {
    SmallVector<Value> all(static_cast<size_t>(layout.count()));
    for (const Places::Row &row : places.rows) {
      SmallVector<Type> types(row.elements.size(), type.getElementType());
      auto branch = scf::IfOp::create(builder, loc, types, kept(row), /*withElseRegion=*/true);
      OpBuilder::InsertionGuard guard(builder);
      builder.setInsertionPointToStart(branch.elseBlock());
      scf::YieldOp::create(builder, loc, SmallVector<Value>(row.elements.size(), fill));
      builder.setInsertionPointToStart(branch.thenBlock());
      scf::YieldOp::create(builder, loc, readRow(row, together));
      for (auto [e, value] : llvm::zip(row.elements, branch.getResults()))
        all[static_cast<size_t>(e)] = value;
    }
    return all;
  };
  Fragment made{layout, {}};
  if (!places.pairs || window.view->element.isInteger(1)) {
    made.elements = readAll(1);
  } else {
    SmallVector<Type> types(static_cast<size_t>(layout.count()), type.getElementType());
    Value aligned = isAligned(window, 2 * bytesInMemory(window.view->element));
    auto branch = scf::IfOp::create(builder, loc, types, aligned, /*withElseRegion=*/true);
    OpBuilder::InsertionGuard guard(builder);
    for (auto [block, together] : {std::pair(branch.thenBlock(), 2), {branch.elseBlock(), 1}}) {
      builder.setInsertionPointToStart(block);
      scf::YieldOp::create(builder, loc, readAll(static_cast<size_t>(together)));
    }
    made.elements.assign(branch.getResults().begin(), branch.getResults().end());
  }
  fragments[result] = made;
  return success();
}

/// What this thread holds of a column in shared memory; neighbours along n two at a time.
void Loads::lower(block::ReadOp read) {
  SharedTile place = shared.lookup(read.getBuffer());
  FragmentLayout layout = layoutOf(read.getResult());
  Type element = read.getBuffer().getType().getElementType();
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
  fragments[read.getResult()] = made;
}
