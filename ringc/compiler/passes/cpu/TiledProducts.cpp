#include "ringc/compiler/passes/cpu/Lowering.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace ringc;
using namespace ringc::cpu;

/// Products whose sums are in registers of tiles, four at once: 2 x 2 of 16 rows and 16 lanes, two
/// of each factor beside them.
///
///     s[k, q] = dot(k, q^T)         k as it lies, rows of terms; q in pairs of terms
///     acc[e, q] += dot(v^T, p)      v turned, so that its rows are of terms; p in pairs of terms,
///                                   as the nest that makes it stores it for other products, too
///
/// The factor in pairs is the one whose lanes are the result's. Buffers of such a kernel have whole
/// tiles (fillTiles): what is behind the last row or lane of a factor makes sums that nobody reads,
/// behind the last term there are zeros.
static constexpr int64_t side = ProductTile::rows, terms = ProductTile::terms;
static_assert(side == TileRegisters::rows && 2 * terms == TileRegisters::rowBytes);

void Lowering::chooseStorage() {
  bool hasBf16 = false;
  kernel.walk([&](tile::DotOp dot) {
    Type element = cast<RankedTensorType>(dot.getA().getType()).getElementType();
    ProductForm form = formOf(dot);
    hasBf16 |= element.isBF16();
    keepsBf16 |= element.isBF16() && form != ProductForm::Widened;
    keepsF16 |= element.isF16() && form != ProductForm::Widened;
    hasTiles |= form == ProductForm::Tiles;
  });
  keepsBf16 |= !hasBf16 && target.hasBf16Dot;
  if (hasTiles)
    granule = 2 * side; // of a block
}

void Lowering::fillTiles(Buffer &buffer) const {
  bool isFactor = buffer.elementBytes() == 2;
  if (!isFactor && buffer.outer < side)
    return; // no sums of a product in tiles
  buffer.stride = llvm::alignTo(buffer.stride, isFactor ? terms : side);
  buffer.rowsToFill = isFactor && buffer.format.paired ? terms : side;
}

TileRegisters Lowering::tileRegisters(Type element) {
  bool has = element.isBF16() ? target.hasBf16Tiles : target.hasF16Tiles;
  return TileRegisters(builder, frame,
                       has ? TileRegisters::Kind::Instructions : TileRegisters::Kind::Loops,
                       tileMemory, target.lanes());
}

void Lowering::emitTiles(const TileBlock &block, Value firstTerm, Value endTerm) {
  Type element = block.rows->element;
  TileRegisters registers = tileRegisters(element);
  auto sumsOf = [](int64_t r, int64_t l) { return static_cast<int>(2 * r + l); };
  auto ofRows = [](int64_t r) { return static_cast<int>(4 + r); };
  auto ofLanes = [](int64_t l) { return static_cast<int>(6 + l); };
  auto forSums = [&](auto &&body) {
    for (int64_t r = 0; r < block.rowTiles; ++r)
      for (int64_t l = 0; l < block.laneTiles; ++l)
        body(r, l);
  };
  auto sumsIn = [&](const Buffer &buffer, int64_t r, int64_t l) {
    Value at = frame.add(elementOffset(buffer, block.row, block.lane),
                         frame.constant((r * buffer.stride + l) * side * 4));
    return bufferPointer(buffer, at);
  };
  forSums([&](int64_t r, int64_t l) {
    if (block.acc)
      registers.load(loc, sumsOf(r, l), sumsIn(*block.acc, r, l), block.acc->stride * 4);
    else
      registers.zero(loc, sumsOf(r, l));
  });
  const Buffer &rows = *block.rows, &lanesOf = *block.lanes;
  loop(firstTerm, endTerm, terms, {}, [&](Value term, ValueRange) {
    auto loadRows = [&](int64_t r) {
      Value at = frame.add(frame.mul(frame.add(frame.mul(block.row, rows.stride), term), 2),
                           frame.constant(r * side * rows.stride * 2));
      registers.load(loc, ofRows(r), bufferPointer(rows, at), rows.stride * 2);
    };
    auto loadLanes = [&](int64_t l) {
      Value at = frame.add(frame.add(frame.mul(term, lanesOf.stride * 2), frame.mul(block.lane, 4)),
                           frame.constant(l * side * 4));
      registers.load(loc, ofLanes(l), bufferPointer(lanesOf, at), lanesOf.stride * 4);
    };
    forSums([&](int64_t r, int64_t l) {
      if (l == 0)
        loadRows(r);
      if (r == 0)
        loadLanes(l);
      registers.multiplyAdd(loc, sumsOf(r, l), ofRows(r), ofLanes(l), element);
    });
    return SmallVector<Value>();
  });
  forSums([&](int64_t r, int64_t l) {
    registers.store(loc, sumsOf(r, l), sumsIn(*block.result, r, l), block.result->stride * 4);
  });
}

void Lowering::emitTiledDot(tile::DotOp dot, const Buffer &along, const Buffer &scalarwise,
                            const Buffer *acc, const Buffer &result) {
  std::optional<VisibleRanges> visible = visibleRanges(hiddenPartOf(dot), dot.getResult());
  int64_t contracted = cast<RankedTensorType>(dot.getA().getType()).getDimSize(1);
  int64_t rowTiles = llvm::divideCeil(result.outer, side), laneTiles = result.stride / side;
  int64_t pairedRows = rowTiles / 2 * 2 * side, pairedLanes = laneTiles / 2 * 2 * side;
  struct Range {
    Value first, end;
  };
  auto emitRows = [&](Value lane, int64_t lanesAtOnce) {
    Range rowRange{frame.constant(0), frame.constant(pairedRows)};
    Range termRange{frame.constant(0), frame.constant(llvm::alignTo(contracted, terms))};
    if (visible && visible->ofLanes) { // granules are whole blocks
      auto [first, end] = rangeAt(*visible, lane);
      (visible->where == HiddenPart::Where::Result ? rowRange : termRange) = {first, end};
    }
    auto emitBlock = [&](Value row, int64_t rowsAtOnce, const Range &ofTerms) {
      emitTiles({&along, &scalarwise, acc, &result, row, lane, rowsAtOnce, lanesAtOnce},
                ofTerms.first, ofTerms.end);
    };
    if (pairedRows)
      loop(rowRange.first, rowRange.end, 2 * side, {}, [&](Value row, ValueRange) {
        Range ofRow = termRange;
        if (visible && !visible->ofLanes) {
          auto [first, end] = rangeAt(*visible, row);
          ofRow = {first, end};
        }
        emitBlock(row, 2, ofRow);
        return SmallVector<Value>();
      });
    if (rowTiles % 2)
      emitBlock(frame.constant(pairedRows), 1, termRange);
  };
  if (pairedLanes)
    loop(frame.constant(0), frame.constant(pairedLanes), 2 * side, {}, [&](Value lane, ValueRange) {
      emitRows(lane, 2);
      return SmallVector<Value>();
    });
  if (laneTiles % 2)
    emitRows(frame.constant(pairedLanes), 1);
}
