#include "compiler/passes/cpu/Lowering.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace ringc;
using namespace ringc::cpu;

/// Lanes that share a range, and the steps in which the other axis is asked. Finer ones hide more
/// and ask more: of a causal diagonal of 64 x 64, 16 leave 5 parts of 8, and 32 leave 3 of 4.
static constexpr int64_t granule = 16;

std::optional<Lowering::VisibleRanges> Lowering::visibleRanges(tile::DotOp dot) {
  int lanesAxis = lanes.laneAxis(dot.getResult());
  std::optional<HiddenPart> hidden = hiddenPartOf(dot);
  if (!hidden || !hidden->changesAlong(lanesAxis))
    return std::nullopt;
  tile::VisibilityOp visibility = hidden->visibility;
  int lanesSeen = hidden->seenAxis(lanesAxis);
  int64_t sizes[2] = {static_cast<int64_t>(visibility.getQueries()),
                      static_cast<int64_t>(visibility.getKeys())};
  int64_t along = sizes[lanesSeen], across = sizes[1 - lanesSeen];
  if (along % granule || across % granule || along == granule || granule % target.lanes())
    return std::nullopt;

  VisibleRanges ranges{hidden->where, granule, -1};
  int64_t &offset = rangesOf[{visibility, lanesSeen}];
  if (offset) {
    ranges.offset = offset - 1;
    return ranges;
  }
  ranges.offset =
      scratch.allocate(along / granule * VisibleRanges::bytes, 0, ScratchAllocator::forever);
  offset = ranges.offset + 1;
  Value none = frame.constant(0), end = frame.constant(across);
  loop(none, frame.constant(along), granule, {}, [&](Value lane, ValueRange) {
    auto found = loop(none, end, granule, {end, none}, [&](Value at, ValueRange range) {
      Value offsets[2];
      offsets[lanesSeen] = frame.narrow(lane);
      offsets[1 - lanesSeen] = frame.narrow(at);
      Value visible = scalarCode.isVisible(visibility, offsets[0], granule, offsets[1], granule);
      Value first = arith::MinSIOp::create(builder, loc, range[0], at);
      Value last = frame.add(at, frame.constant(granule));
      return SmallVector<Value>{arith::SelectOp::create(builder, loc, visible, first, range[0]),
                                arith::SelectOp::create(builder, loc, visible, last, range[1])};
    });
    Value pointer = rangePointer(ranges, lane);
    for (unsigned i : {0u, 1u})
      LLVM::StoreOp::create(builder, loc, found.getResult(i),
                            frame.pointerAt(pointer, frame.constant(8 * i)));
    return SmallVector<Value>();
  });
  return ranges;
}

Value Lowering::rangePointer(const VisibleRanges &ranges, Value lane) {
  Value index = arith::DivUIOp::create(builder, loc, lane, frame.constant(ranges.lanes));
  return frame.pointerAt(frame.scratch(), frame.add(frame.mul(index, VisibleRanges::bytes),
                                                    frame.constant(ranges.offset)));
}

std::pair<Value, Value> Lowering::rangeAt(const VisibleRanges &ranges, Value lane) {
  Value pointer = rangePointer(ranges, lane);
  auto word = [&](int64_t i) -> Value {
    return LLVM::LoadOp::create(builder, loc, builder.getI64Type(),
                                frame.pointerAt(pointer, frame.constant(8 * i)));
  };
  return {word(0), word(1)};
}
