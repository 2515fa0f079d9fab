#include "ringc/compiler/passes/cpu/Lowering.h"
#include "ringc/compiler/passes/cpu/RegisterBlock.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace ringc;
using namespace ringc::cpu;

/// Whether products read a tile scalar by scalar, and nobody else does.
static bool isReadByScalars(Value tile, const LaneAnalysis &lanes) {
  return llvm::all_of(tile.getUses(), [&](OpOperand &use) {
    if (auto transpose = dyn_cast<tile::TransposeOp>(use.getOwner()))
      return isReadByScalars(transpose.getResult(), lanes);
    auto dot = dyn_cast<tile::DotOp>(use.getOwner());
    return dot && use.getOperandNumber() == (lanes.laneAxis(dot.getResult()) == 1 ? 0u : 1u);
  });
}

Lowering::DotOperands Lowering::operandsOf(tile::DotOp dot) const {
  DotOperands operands;
  operands.lanesAxis = lanes.laneAxis(dot.getResult());
  bool lanesAreColumns = operands.lanesAxis == 1;
  Value along = lanesAreColumns ? dot.getB() : dot.getA();
  Value scalarwise = lanesAreColumns ? dot.getA() : dot.getB();
  int contracted = lanesAreColumns ? 1 : 0;
  operands.form = formOf(dot);
  operands.paired = operands.form != ProductForm::Widened;

  bool swapped;
  std::tie(operands.lanes, swapped) = throughTransposes(along);
  operands.lanesFormat = {swapped ? 1 - operands.lanesAxis : operands.lanesAxis, operands.paired};
  std::tie(operands.rows, swapped) = throughTransposes(scalarwise);
  operands.rowsContracted = swapped ? 1 - contracted : contracted;
  operands.rowsFormat = plainFormat(operands.rows);
  if (operands.form == ProductForm::Tiles) { // rows of terms, whoever makes them
    operands.rowsFormat.lane = operands.rowsContracted;
    return operands;
  }
  // A scalar is read along either axis: a window that serves nothing else stays as it lies.
  if (operands.rows.getDefiningOp<tile::LoadOp>() && isReadByScalars(operands.rows, lanes))
    operands.rowsFormat.lane = 1;
  if (operands.paired && operands.rowsFormat.lane != operands.rowsContracted)
    operands.rowsFormat.paired = true;
  return operands;
}

Value Lowering::multiplyAdd(Value a, Value b, Value sum) {
  auto type = cast<VectorType>(sum.getType());
  if (!cast<VectorType>(a.getType()).getElementType().isBF16())
    return LLVM::FMAOp::create(builder, loc, type, ValueRange{a, b, sum});
  int64_t width = type.getNumElements();
  StringRef name = width == 16  ? "llvm.x86.avx512bf16.dpbf16ps.512"
                   : width == 8 ? "llvm.x86.avx512bf16.dpbf16ps.256"
                                : "llvm.x86.avx512bf16.dpbf16ps.128";
  return LLVM::CallIntrinsicOp::create(builder, loc, type, builder.getStringAttr(name),
                                       ValueRange{sum, a, b})
      .getResult(0);
}

void Lowering::emitDot(tile::DotOp dot, const Buffer &along, const Buffer &scalarwise,
                       const Buffer *acc, const Buffer &result) {
  int64_t width = target.lanes();
  bool paired = along.format.paired;
  std::optional<VisibleRanges> visible = visibleRanges(hiddenPartOf(dot), dot.getResult());
  RegisterBlock block = visible && visible->ofLanes
                            ? RegisterBlock::narrow(visible->granule / width, target)
                            : RegisterBlock(result.stride / width, target);
  if (visible && !visible->ofLanes)
    while (visible->granule % block.rows)
      --block.rows;
  emitDot(dot, block, visible, scalarwise, acc, result, [&](Value lane) -> LaneVectors {
    Value base = bufferPointer(along, frame.mul(lane, paired ? 4 : along.elementBytes()));
    return [&, base](Value step) {
      Value pointer = frame.pointerAt(base, frame.mul(step, along.stride * 4));
      SmallVector<Value> vectors;
      for (int64_t v = 0; v < block.vectors; ++v)
        vectors.push_back(loadVector(frame.pointerAt(pointer, frame.constant(v * width * 4)),
                                     along.element, paired ? 2 * width : width, 4 * width));
      return vectors;
    };
  });
}

void Lowering::emitDot(tile::DotOp dot, RegisterBlock block,
                       const std::optional<VisibleRanges> &visible, const Buffer &scalarwise,
                       const Buffer *acc, const Buffer &result,
                       llvm::function_ref<LaneVectors(Value lane)> along) {
  DotOperands operands = operandsOf(dot);
  int64_t width = target.lanes();
  int64_t contracted = cast<RankedTensorType>(dot.getA().getType()).getDimSize(1);
  int64_t steps = operands.paired ? (contracted + 1) / 2 : contracted;
  bool alongLanes = scalarwise.format.lane == operands.rowsContracted;
  int64_t scalarBytes = 4; // an f32 or a pair of bf16
  int64_t rowStep = alongLanes ? scalarwise.stride * scalarwise.elementBytes() : scalarBytes;
  int64_t stepStep = alongLanes ? scalarBytes : scalarwise.stride * scalarBytes;
  Type f32 = builder.getF32Type(), bf16 = builder.getBF16Type();
  auto accType = VectorType::get({width}, f32);

  struct Range {
    Value first, end;
  };
  auto stepsOf = [&](const Range &terms) { // granules are whole pairs
    auto half = [&](Value count) -> Value {
      return arith::ShRUIOp::create(builder, loc, count, frame.constant(1));
    };
    return operands.paired ? Range{half(terms.first), half(terms.end)} : terms;
  };
  auto emitRows = [&](Value lane, Value row, int64_t rows, const Range &stepRange) {
    SmallVector<Value> accumulators;
    auto resultPointer = [&](const Buffer &buffer, int64_t r, int64_t v) {
      Value at = frame.add(elementOffset(buffer, row, lane),
                           frame.constant((r * buffer.stride + v * width) * 4));
      return bufferPointer(buffer, at);
    };
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t v = 0; v < block.vectors; ++v)
        accumulators.push_back(acc ? loadVector(resultPointer(*acc, r, v), f32, width, 4 * width)
                                   : zero(accType));
    LaneVectors vectorsAt = along(lane);
    Value rowBase = bufferPointer(scalarwise, frame.mul(row, rowStep));
    auto products =
        loop(stepRange.first, stepRange.end, 1, accumulators, [&](Value step, ValueRange sums) {
          SmallVector<Value> vectors = vectorsAt(step), next;
          Value scalarStep = frame.pointerAt(rowBase, frame.mul(step, stepStep));
          for (int64_t r = 0; r < rows; ++r) {
            Value pointer = frame.pointerAt(scalarStep, frame.constant(r * rowStep));
            Value scalar = LLVM::LoadOp::create(
                builder, loc, operands.paired ? builder.getI32Type() : f32, pointer, 4);
            scalar = broadcast(scalar, width);
            if (operands.paired)
              scalar =
                  LLVM::BitcastOp::create(builder, loc, VectorType::get({2 * width}, bf16), scalar);
            for (int64_t v = 0; v < block.vectors; ++v)
              next.push_back(multiplyAdd(vectors[v], scalar, sums[r * block.vectors + v]));
          }
          return next;
        });
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t v = 0; v < block.vectors; ++v)
        storeVector(products.getResult(static_cast<unsigned>(r * block.vectors + v)),
                    resultPointer(result, r, v), 4 * width);
  };

  loop(frame.constant(0), frame.constant(result.stride), block.vectors * width, {},
       [&](Value lane, ValueRange) {
         int64_t blocked = result.outer / block.rows * block.rows;
         Range rowRange{frame.constant(0), frame.constant(blocked)};
         Range stepRange{frame.constant(0), frame.constant(steps)};
         if (visible && visible->ofLanes) {
           auto [first, end] = rangeAt(*visible, lane);
           switch (visible->where) {
           case HiddenPart::Where::Result: // to whole register blocks
             rowRange.first = arith::SubIOp::create(
                 builder, loc, first,
                 arith::RemUIOp::create(builder, loc, first, frame.constant(block.rows)));
             rowRange.end = arith::MinSIOp::create(builder, loc, end, rowRange.end);
             break;
           case HiddenPart::Where::Contracted:
             stepRange = stepsOf({first, end});
             break;
           }
         }
         if (blocked)
           loop(rowRange.first, rowRange.end, block.rows, {}, [&](Value row, ValueRange) {
             Range ofRow = stepRange;
             if (visible && !visible->ofLanes) {
               auto [first, end] = rangeAt(*visible, row);
               ofRow = stepsOf({first, end});
             }
             emitRows(lane, row, block.rows, ofRow);
             return SmallVector<Value>();
           });
         if (blocked != result.outer)
           emitRows(lane, frame.constant(blocked), result.outer - blocked, stepRange);
         return SmallVector<Value>();
       });
}
