#include "ringc/compiler/passes/gpu/Block.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace ringc;
using namespace ringc::block;
using gpu::FragmentLayout;
using gpu::SharedTile;

/// 64x128
static ParseResult parseExtents(AsmParser &parser, int64_t &first, int64_t &second) {
  SmallVector<int64_t> extents;
  SMLoc place = parser.getCurrentLocation();
  if (parser.parseDimensionList(extents, /*allowDynamic=*/false, /*withTrailingX=*/false))
    return failure();
  if (extents.size() != 2)
    return parser.emitError(place, "expected two extents");
  first = extents[0], second = extents[1];
  return success();
}
static void printExtents(AsmPrinter &printer, int64_t first, int64_t second) {
  printer << first << 'x' << second;
}

#include "ringc/compiler/passes/gpu/BlockDialect.cpp.inc"
#include "ringc/compiler/passes/gpu/BlockEnums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "ringc/compiler/passes/gpu/BlockAttributes.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "ringc/compiler/passes/gpu/BlockTypes.cpp.inc"
#define GET_OP_CLASSES
#include "ringc/compiler/passes/gpu/Block.cpp.inc"

void BlockDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "ringc/compiler/passes/gpu/BlockAttributes.cpp.inc"
      >();
  addTypes<
#define GET_TYPEDEF_LIST
#include "ringc/compiler/passes/gpu/BlockTypes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "ringc/compiler/passes/gpu/Block.cpp.inc"
      >();
}

LogicalResult FragmentAttr::verify(llvm::function_ref<InFlightDiagnostic()> emitError, FragmentKind,
                                   int64_t mAxis, int64_t, int64_t) {
  if (mAxis != 0 && mAxis != 1)
    return emitError() << "m is axis 0 or 1 of a tile, got " << mAxis;
  return success();
}

Type BufferType::parse(AsmParser &parser) {
  SmallVector<int64_t> extents;
  Type element;
  int64_t rows = 0, columns = 0;
  if (parser.parseLess() ||
      parser.parseDimensionList(extents, /*allowDynamic=*/false, /*withTrailingX=*/true) ||
      parser.parseType(element) || parser.parseKeyword("in") || parseExtents(parser, rows, columns))
    return {};
  bool byColumns = false, swizzled = false;
  while (succeeded(parser.parseOptionalComma())) {
    if (succeeded(parser.parseOptionalKeyword("by_columns")))
      byColumns = true;
    else if (parser.parseKeyword("swizzled"))
      return {};
    else
      swizzled = true;
  }
  if (extents.size() != 2)
    return parser.emitError(parser.getCurrentLocation(), "expected a buffer of two axes"), Type();
  if (parser.parseGreater())
    return {};
  return parser.getChecked<BufferType>(parser.getContext(), extents[0], extents[1], element, rows,
                                       columns, byColumns, swizzled);
}

void BufferType::print(AsmPrinter &printer) const {
  printer << '<' << getRows() << 'x' << getColumns() << 'x' << getElementType() << " in "
          << getPaddedRows() << 'x' << getPaddedColumns();
  if (getByColumns())
    printer << ", by_columns";
  if (getSwizzled())
    printer << ", swizzled";
  printer << '>';
}

LogicalResult BufferType::verify(llvm::function_ref<InFlightDiagnostic()> emitError, int64_t rows,
                                 int64_t columns, Type element, int64_t paddedRows,
                                 int64_t paddedColumns, bool, bool swizzled) {
  if (!element.isIntOrFloat())
    return emitError() << "a buffer holds numbers, got " << element;
  if (rows > paddedRows || columns > paddedColumns)
    return emitError() << "a buffer of " << paddedRows << "x" << paddedColumns
                       << " has no room for a tile of " << rows << "x" << columns;
  int64_t rowBytes = paddedColumns * gpu::bytesInMemory(element);
  if (swizzled && rowBytes % SharedTile::lineBytes)
    return emitError() << "rows of whole lines of " << SharedTile::lineBytes
                       << " bytes are swizzled, not of " << rowBytes;
  return success();
}

LogicalResult BufferOp::verify() {
  if (getBuffers().empty())
    return emitOpError("makes no buffer");
  if (getAt() && *getAt() % SharedTile::lineBytes)
    return emitOpError("begins at a multiple of ")
           << SharedTile::lineBytes << " bytes, got " << *getAt();
  return success();
}

LogicalResult StageOp::verify() {
  auto maker = getBuffer().getDefiningOp<BufferOp>();
  if (!maker || maker.getStages() < 2)
    return emitOpError("is of a block.buffer that has stages");
  return success();
}

LogicalResult ReleaseOp::verify() {
  if (!getBuffer().getDefiningOp<BufferOp>())
    return emitOpError("releases what block.buffer has not made");
  return success();
}

LogicalResult CopyOp::verify() {
  tile::ViewType view = getView().getType();
  BufferType buffer = getBuffer().getType();
  if (view.getElementType() != buffer.getElementType())
    return emitOpError("element types differ: ") << view << " and " << buffer;
  if (view.getRank() > 2 || static_cast<int64_t>(getOffsets().size()) != view.getRank())
    return emitOpError("needs an offset for each of one or two axes of ")
           << view << ", got " << getOffsets().size();
  if (getRows() && getRows().getType().getCount() < buffer.getRows())
    return emitOpError() << buffer.getRows() << " rows are named by "
                         << getRows().getType().getCount() << " words";
  if (getWhere() && getWhere().getType().getCount() < buffer.getPaddedRows())
    return emitOpError() << buffer.getPaddedRows() << " rows are chosen by "
                         << getWhere().getType().getCount() << " words";
  return success();
}

LogicalResult ShareOp::verify() {
  auto tile = cast<RankedTensorType>(getTile().getType());
  if (auto words = dyn_cast<WordsType>(getBuffer().getType())) {
    if (!tile.getElementType().isInteger() || tile.getNumElements() > words.getCount())
      return emitOpError("has no room for ") << tile << " in " << words;
    return success();
  }
  auto buffer = cast<BufferType>(getBuffer().getType());
  int64_t rows = tile.getDimSize(buffer.getByColumns() ? 1 : 0),
          columns = tile.getDimSize(buffer.getByColumns() ? 0 : 1);
  auto first = static_cast<int64_t>(getFirst());
  if (tile.getElementType() != buffer.getElementType() || rows != buffer.getRows() ||
      columns < buffer.getColumns() || first < 0 || first >= columns)
    return emitOpError("writes ") << tile << " to " << buffer << " from column " << getFirst();
  return success();
}

LogicalResult ProductOp::verify() {
  if (!getTile() && !getLeft())
    return emitOpError("has no left operand");
  for (int64_t axis : {getLeftK(), getRightK()})
    if (axis != 0 && axis != 1)
      return emitOpError("sums over axis 0 or 1, got ") << axis;
  Type right = getRight().getType().getElementType();
  Type left =
      getTile() ? getElementTypeOrSelf(getTile().getType()) : getLeft().getType().getElementType();
  if (left != right)
    return emitOpError("operands have types ") << left << " and " << right;
  if (getAcc() && getAcc().getType() != getResult().getType())
    return emitOpError("accumulator has type ") << getAcc().getType();
  return success();
}

/// The extents follow from the tile, which is of the same shape wherever it lies.
static FragmentLayout layoutFrom(FragmentAttr fragment, RankedTensorType tile) {
  FragmentLayout layout;
  layout.kind = static_cast<FragmentLayout::Kind>(fragment.getKind());
  layout.mAxis = static_cast<int>(fragment.getMAxis());
  layout.mBlocks = fragment.getMBlocks();
  layout.nBlocks = fragment.getNBlocks();
  switch (fragment.getKind()) {
  case FragmentKind::Matrix:
    layout.mExtent = tile.getDimSize(static_cast<unsigned>(layout.mAxis));
    layout.nExtent = tile.getDimSize(static_cast<unsigned>(1 - layout.mAxis));
    break;
  case FragmentKind::AlongM:
    layout.mExtent = tile.getNumElements();
    break;
  case FragmentKind::AlongN:
    layout.nExtent = tile.getNumElements();
    break;
  case FragmentKind::Single:
    break;
  }
  return layout;
}

FragmentLayout block::layoutOf(Value tile) {
  // The tiles of a loop lie as its results do.
  Operation *maker = tile.getDefiningOp();
  size_t place = 0;
  if (auto argument = dyn_cast<BlockArgument>(tile)) {
    maker = argument.getOwner()->getParentOp();
    place = argument.getArgNumber() - 1; // behind the induction variable
  } else {
    place = cast<OpResult>(tile).getResultNumber();
  }
  auto layouts = maker->getAttrOfType<ArrayAttr>(BlockDialect::layoutsAttr);
  assert(layouts && place < layouts.size() && "a tile without a layout");
  return layoutFrom(cast<FragmentAttr>(layouts[place]), cast<RankedTensorType>(tile.getType()));
}

void block::setLayouts(Operation *op, ArrayRef<FragmentLayout> layouts) {
  SmallVector<Attribute> all;
  for (const FragmentLayout &layout : layouts)
    all.push_back(FragmentAttr::get(op->getContext(), static_cast<FragmentKind>(layout.kind),
                                    layout.mAxis, layout.mBlocks, layout.nBlocks));
  op->setAttr(BlockDialect::layoutsAttr, ArrayAttr::get(op->getContext(), all));
}

gpu::WarpGrid block::warpsOf(func::FuncOp kernel) {
  auto warps = kernel->getAttrOfType<DenseI64ArrayAttr>(BlockDialect::warpsAttr);
  assert(warps && warps.size() == 2 && "place-tiles says how many warps there are");
  return {warps[0], warps[1]};
}

void block::setWarps(func::FuncOp kernel, const gpu::WarpGrid &grid) {
  kernel->setAttr(BlockDialect::warpsAttr,
                  DenseI64ArrayAttr::get(kernel.getContext(), {grid.m, grid.n}));
}

SharedTile block::placeOf(BufferType type) {
  SharedTile place;
  place.rows = type.getRows();
  place.columns = type.getColumns();
  place.paddedRows = type.getPaddedRows();
  place.paddedColumns = type.getPaddedColumns();
  place.elementBytes = gpu::bytesInMemory(type.getElementType());
  place.rowAxis = type.getByColumns() ? 1 : 0;
  place.swizzled = type.getSwizzled();
  return place;
}

BufferType block::typeOf(const SharedTile &place, Type element) {
  return BufferType::get(element.getContext(), place.rows, place.columns, element, place.paddedRows,
                         place.paddedColumns, place.rowAxis == 1, place.swizzled);
}

int64_t block::bytesOf(Type memory) {
  if (auto words = dyn_cast<WordsType>(memory))
    return 4 * words.getCount();
  return placeOf(cast<BufferType>(memory)).bytes();
}
