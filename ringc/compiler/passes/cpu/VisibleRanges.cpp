#include "ringc/compiler/passes/cpu/Lowering.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

#include <array>

using namespace mlir;
using namespace ringc;
using namespace ringc::cpu;

/// Queries and keys.
static std::array<int64_t, 2> sizesOf(tile::VisibilityOp visibility) {
  return {static_cast<int64_t>(visibility.getQueries()),
          static_cast<int64_t>(visibility.getKeys())};
}

bool Lowering::hasVisibleRanges(const HiddenPart &hidden, Value result) const {
  int lanesAxis = lanes.laneAxis(result);
  bool ofLanes = hidden.changesAlong(lanesAxis);
  int seenAxis = hidden.seenAxis(ofLanes ? lanesAxis : 1 - lanesAxis);
  std::array<int64_t, 2> sizes = sizesOf(hidden.visibility);
  int64_t along = sizes[seenAxis], across = sizes[1 - seenAxis];
  return along % granule == 0 && across % granule == 0 && along != granule &&
         !(ofLanes && granule % target.lanes());
}

std::optional<Lowering::VisibleRanges>
Lowering::visibleRanges(const std::optional<HiddenPart> &hidden, Value result) {
  if (!hidden || !hasVisibleRanges(*hidden, result))
    return std::nullopt;
  int lanesAxis = lanes.laneAxis(result);
  bool ofLanes = hidden->changesAlong(lanesAxis);
  int seenAxis = hidden->seenAxis(ofLanes ? lanesAxis : 1 - lanesAxis);
  tile::VisibilityOp visibility = hidden->visibility;
  std::array<int64_t, 2> sizes = sizesOf(visibility);
  int64_t along = sizes[seenAxis], across = sizes[1 - seenAxis];

  VisibleRanges ranges{hidden->where, ofLanes, granule, -1};
  int64_t &offset = rangesOf[{visibility, seenAxis}];
  if (offset) {
    ranges.offset = offset - 1;
    return ranges;
  }
  ranges.offset =
      scratch.allocate(along / granule * VisibleRanges::bytes, 0, ScratchAllocator::forever);
  offset = ranges.offset + 1;
  Value none = frame.constant(0), end = frame.constant(across);
  loop(none, frame.constant(along), granule, {}, [&](Value place, ValueRange) {
    auto found = loop(none, end, granule, {end, none}, [&](Value at, ValueRange range) {
      Value offsets[2];
      offsets[seenAxis] = frame.narrow(place);
      offsets[1 - seenAxis] = frame.narrow(at);
      Value visible = scalarCode.isVisible(visibility, offsets[0], granule, offsets[1], granule);
      Value first = arith::MinSIOp::create(builder, loc, range[0], at);
      Value last = frame.add(at, frame.constant(granule));
      return SmallVector<Value>{arith::SelectOp::create(builder, loc, visible, first, range[0]),
                                arith::SelectOp::create(builder, loc, visible, last, range[1])};
    });
    Value pointer = rangePointer(ranges, place);
    for (unsigned i : {0u, 1u})
      LLVM::StoreOp::create(builder, loc, found.getResult(i),
                            frame.pointerAt(pointer, frame.constant(int64_t{8} * i)));
    return SmallVector<Value>();
  });
  return ranges;
}

Value Lowering::rangePointer(const VisibleRanges &ranges, Value laneOrRow) {
  Value index = arith::DivUIOp::create(builder, loc, laneOrRow, frame.constant(ranges.granule));
  return frame.pointerAt(frame.scratch(), frame.add(frame.mul(index, VisibleRanges::bytes),
                                                    frame.constant(ranges.offset)));
}

std::pair<Value, Value> Lowering::rangeAt(const VisibleRanges &ranges, Value laneOrRow) {
  Value pointer = rangePointer(ranges, laneOrRow);
  auto word = [&](int64_t i) -> Value {
    return LLVM::LoadOp::create(builder, loc, builder.getI64Type(),
                                frame.pointerAt(pointer, frame.constant(8 * i)));
  };
  return {word(0), word(1)};
}
