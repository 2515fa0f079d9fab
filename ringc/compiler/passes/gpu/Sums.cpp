// What programs add up in memory that they share: red.global.add.f32, in no fixed order.
//
// Views of sums are laid out as the threads of a warp hold them. A block of 8 rows and 16 columns
// (SumsBlock) is an accumulator of mma.m16n8 whose m is the columns, as that of dq is
// (Layouts::chooseTransposed):
//
//     lane = column % 8 * 4 + row / 2 % 4        element = column / 8 % 2 * 2 + row % 2
//
// Where four f32 are added at once (compute capability 9.0) those of a thread are neighbours, else
// those of a warp: an addition touches whole lines of memory, and no thread computes more than one
// address.

#include "ringc/compiler/passes/gpu/Sums.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace ringc;
using namespace ringc::gpu;
using Kind = FragmentLayout::Kind;

static constexpr int64_t blockElements = SumsBlock::rows * SumsBlock::columns;

void Sums::addAtomically(Value value, Value pointer) {
  LLVM::AtomicRMWOp::create(builder, loc, LLVM::AtomicBinOp::fadd, pointer, value,
                            LLVM::AtomicOrdering::monotonic);
}

/// Four neighbours in memory at once.
void Sums::addFour(ArrayRef<Value> values, Value pointer) {
  SmallVector<Value> operands{pointer};
  llvm::append_range(operands, values);
  LLVM::InlineAsmOp::create(
      builder, loc, TypeRange(), operands,
      /*asm_string=*/"red.relaxed.gpu.global.add.v4.f32 [$0], {$1, $2, $3, $4};",
      /*constraints=*/"l,f,f,f,f,~{memory}", /*has_side_effects=*/true,
      /*is_align_stack=*/false, LLVM::TailCallKind::None, /*asm_dialect=*/nullptr,
      /*operand_attrs=*/nullptr);
}

/// Whether an offset is a multiple of a power of two wherever the program runs.
static bool isMultiple(Value offset, int64_t of, llvm::DenseMap<Value, bool> &known);

static bool isMultipleItself(Value offset, int64_t of, llvm::DenseMap<Value, bool> &known) {
  if (auto constant = offset.getDefiningOp<arith::ConstantOp>())
    return cast<IntegerAttr>(constant.getValue()).getInt() % of == 0;
  if (auto product = offset.getDefiningOp<arith::MulIOp>())
    return isMultiple(product.getLhs(), of, known) || isMultiple(product.getRhs(), of, known);
  if (isa_and_nonnull<arith::AddIOp, arith::SubIOp>(offset.getDefiningOp()))
    return llvm::all_of(offset.getDefiningOp()->getOperands(),
                        [&](Value each) { return isMultiple(each, of, known); });
  if (auto rounds = offset.getDefiningOp<block::VisibleRoundsOp>())
    return isMultiple(rounds.getLower(), of, known) && isMultiple(rounds.getStep(), of, known);
  auto argument = dyn_cast<BlockArgument>(offset);
  auto loop = argument ? dyn_cast<scf::ForOp>(argument.getOwner()->getParentOp()) : nullptr;
  return loop && loop.getInductionVar() == offset && isMultiple(loop.getLowerBound(), of, known) &&
         isMultiple(loop.getStep(), of, known);
}

/// `known`: a sum of sums of itself is looked at once.
static bool isMultiple(Value offset, int64_t of, llvm::DenseMap<Value, bool> &known) {
  if (auto found = known.find(offset); found != known.end())
    return found->second;
  bool multiple = isMultipleItself(offset, of, known);
  return known[offset] = multiple;
}

/// Elements from the start of the view to (row, column) of whole numbers with no bit in common:
/// what the sums of two rows, and of two columns, have is the sum of what they have.
static int64_t sumsIndex(int64_t row, int64_t column, int64_t blocksOfRow, bool four) {
  int64_t block = row / 8 * blocksOfRow + column / 16;
  int64_t lane = column % 8 * 4 + row / 2 % 4, element = column / 8 % 2 * 2 + row % 2;
  return block * blockElements + (four ? lane * 4 + element : element * 32 + lane);
}

/// The same of the thread's first row and column, i64.
Value Sums::sumsIndexOf(Value row, Value column, int64_t blocksOfRow) {
  auto bits = [&](Value of, int64_t shift, int64_t count) -> Value {
    Value moved = shift ? arith::ShRUIOp::create(builder, loc, of, i32(shift)).getResult() : of;
    return arith::AndIOp::create(builder, loc, moved, i32((int64_t(1) << count) - 1));
  };
  auto above = [&](Value of, int64_t shift) -> Value {
    return arith::ShRUIOp::create(builder, loc, of, i32(shift));
  };
  Value lanes = add(mul(bits(column, 0, 3), 4), bits(row, 1, 2));
  Value elements = add(mul(bits(column, 3, 1), 2), bits(row, 0, 1));
  Value within = addsFour() ? add(mul(lanes, 4), elements) : add(mul(elements, 32), lanes);
  Value block =
      frame.add(frame.mul(frame.widen(above(row, 3)), blocksOfRow), frame.widen(above(column, 4)));
  return frame.add(frame.mul(block, blockElements), frame.widen(within));
}

/// Where the elements of a fragment lie in a window of sums: one address, and constants.
struct Sums::SumsPlaces {
  struct Element {
    size_t index; ///< in the fragment
    int64_t bytes;
    Value in; ///< null where the thread always has it
  };
  Value pointer;
  SmallVector<Element> elements;
};

FailureOr<Sums::SumsPlaces> Sums::sumsPlacesOf(Operation *op, Value view, ValueRange offsets,
                                               const FragmentLayout &layout,
                                               RankedTensorType tile) {
  auto type = cast<tile::ViewType>(view.getType());
  for (auto [offset, of, name] : {std::tuple(offsets[0], SumsBlock::rows, "row"),
                                  {offsets[1], SumsBlock::columns, "column"}}) {
    llvm::DenseMap<Value, bool> known;
    if (!isMultiple(offset, of, known))
      return op->emitOpError("of sums begins on a GPU at a ")
             << name << " that is a multiple of " << of;
  }
  if (tile.getDimSize(0) % SumsBlock::rows ||
      (tile.getDimSize(1) % SumsBlock::columns && tile.getDimSize(1) != type.getStaticExtent(1)))
    return op->emitOpError("of sums has on a GPU a multiple of ")
           << SumsBlock::rows << " rows and of " << SumsBlock::columns
           << " columns, or all columns";
  Window window = windowOf(view, offsets, {tile.getDimSize(0), tile.getDimSize(1)});
  int64_t columns = llvm::alignTo(type.getStaticExtent(1), SumsBlock::columns);
  int64_t tileColumns = llvm::alignTo(tile.getDimSize(1), SumsBlock::columns);
  int64_t blocksOfRow = columns / SumsBlock::columns;
  bool rowsAreM = layout.mAxis == 0;
  Value row = rowsAreM ? mBase : nBase, column = rowsAreM ? nBase : mBase;
  SumsPlaces places;
  Value start = frame.add(sumsIndexOf(row, column, blocksOfRow),
                          sumsIndexOf(window.row, window.column, blocksOfRow));
  places.pointer = frame.pointerAt(window.view->pointer, frame.mul(start, 4));
  // Inside the tile, and in a block that has a row of the view. Rows of a block stay together.
  Value rowsLeft = arith::SubIOp::create(builder, loc, window.rows, window.row);
  Value rows = arith::MinSIOp::create(builder, loc, rowsLeft, i32(window.tileRows));
  llvm::DenseMap<std::pair<int64_t, int64_t>, Value> inside;
  auto below = [&](Value index, Value extent) -> Value {
    return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::slt, index, extent);
  };
  for (int64_t e = 0; e < layout.count(); ++e) {
    int64_t m = grid.mFurther(layout.mOf(e)), n = grid.nFurther(layout.nOf(e));
    auto [rowFurther, columnFurther] = rowsAreM ? std::pair(m, n) : std::pair(n, m);
    int64_t blockRow = rowFurther / 8 * 8, blockColumn = columnFurther / 16 * 16;
    auto [in, isNew] = inside.try_emplace({blockRow, blockColumn});
    if (isNew) {
      Value first = arith::AndIOp::create(builder, loc, row, i32(-8));
      in->second = below(add(first, i32(blockRow)), rows);
      Value here = add(arith::AndIOp::create(builder, loc, column, i32(-16)), i32(blockColumn));
      auto also = [&](Value condition) {
        in->second = arith::AndIOp::create(builder, loc, in->second, condition);
      };
      if ((rowsAreM ? grid.reachN(layout) : grid.reachM(layout)) > tileColumns)
        also(below(here, i32(tileColumns)));
      if (window.columnsInside)
        also(below(add(window.column, here), i32(columns)));
    }
    places.elements.push_back({static_cast<size_t>(e),
                               4 * sumsIndex(rowFurther, columnFurther, blocksOfRow, addsFour()),
                               in->second});
  }
  return places;
}

LogicalResult Sums::lower(tile::LoadOp load) {
  RankedTensorType type = load.getType();
  FragmentLayout layout = layoutOf(load.getResult());
  if (load.getFill() || load.getWhere())
    return load.emitOpError("of sums reads 0 outside, on a GPU, and all rows");
  FailureOr<SumsPlaces> places =
      sumsPlacesOf(load, load.getView(), load.getOffsets(), layout, type);
  if (failed(places))
    return failure();
  Fragment made{layout, SmallVector<Value>(static_cast<size_t>(layout.count()))};
  Type f32 = builder.getF32Type();
  for (const SumsPlaces::Element &element : places->elements) {
    auto branch = scf::IfOp::create(builder, loc, f32, element.in, /*withElseRegion=*/true);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(branch.elseBlock());
    scf::YieldOp::create(builder, loc, zeroOf(f32));
    builder.setInsertionPointToStart(branch.thenBlock());
    Value at = global(frame.pointerAt(places->pointer, frame.constant(element.bytes)));
    scf::YieldOp::create(builder, loc, this->load(f32, at));
    made.elements[element.index] = branch.getResult(0);
  }
  fragments[load.getResult()] = made;
  return success();
}

/// Adds or stores. The block's last rows and columns may lie outside the view: there is room.
LogicalResult Sums::lower(block::StoreOp store, const Fragment &tile) {
  auto type = cast<RankedTensorType>(store.getTile().getType());
  FailureOr<SumsPlaces> places =
      sumsPlacesOf(store, store.getView(), store.getOffsets(), tile.layout, type);
  if (failed(places))
    return failure();
  ArrayRef<SumsPlaces::Element> left = places->elements;
  while (!left.empty()) {
    auto follows = [&](size_t i) {
      return left[i].in == left[0].in &&
             left[i].bytes == left[0].bytes + static_cast<int64_t>(4 * i);
    };
    bool four =
        store.getAdd() && addsFour() && left.size() >= 4 && follows(1) && follows(2) && follows(3);
    auto branch = scf::IfOp::create(builder, loc, left[0].in, /*withElseRegion=*/false);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(branch.thenBlock());
    Value at = global(frame.pointerAt(places->pointer, frame.constant(left[0].bytes)));
    SmallVector<Value> values;
    for (const SumsPlaces::Element &each : left.take_front(four ? 4 : 1))
      values.push_back(tile.elements[each.index]);
    if (four)
      addFour(values, at);
    else if (store.getAdd())
      addAtomically(values.front(), at);
    else
      this->store(values.front(), at);
    left = left.drop_front(values.size());
  }
  return success();
}
