#include "ringc/compiler/passes/cpu/Lowering.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include "llvm/ADT/SetVector.h"

#include <bit>

using namespace mlir;
using namespace ringc;
using namespace ringc::cpu;

/// Products that read a window where it lies in its view. A buffer pays where a product reads each
/// element many times over; where all rows of its result are in registers at once it reads each
/// once, and the copy would cost as much as the product.
///
///     acc += dot(p, v[cols : BKV, :])     lanes along the columns of the window: a row (a pair of
///                                         rows of bf16) is a step of the sum
///     s = dot(q, k[cols : BKV, :]^T)      lanes along its rows: they are multiplied with the lanes
///                                         along what is summed, and folded

/// The product that alone reads a window, by way of transposes or not.
static tile::DotOp onlyReader(tile::LoadOp load) {
  Value tile = load.getResult();
  while (tile.hasOneUse()) {
    Operation *user = *tile.getUsers().begin();
    if (auto dot = dyn_cast<tile::DotOp>(user))
      return dot;
    if (!isa<tile::TransposeOp>(user))
      break;
    tile = user->getResult(0);
  }
  return {};
}

/// Whether all columns of a window are in its view.
static bool isWhole(tile::LoadOp load, int64_t columns) {
  if (load.getOffsets().size() != 2)
    return false;
  auto first = load.getOffsets()[1].getDefiningOp<arith::ConstantIntOp>();
  return first && first.value() == 0 && load.getView().getType().getStaticExtent(1) >= columns;
}

/// Whether nothing is written between two operations of a block.
static bool isUndisturbed(Operation *from, Operation *to) {
  for (Operation *op = from->getNextNode(); op != to; op = op->getNextNode())
    if (isa<tile::StoreOp, tile::ResumeOp>(op) || op->getNumRegions())
      return false;
  return true;
}

/// Adds the operations in the body of `loop` that a scalar is computed by, in their order; false
/// where more than the number of the round and what is outside matters.
static bool collectScalars(Value value, scf::ForOp loop, llvm::SetVector<Operation *> &operations) {
  if (value == loop.getInductionVar())
    return true;
  Operation *op = value.getDefiningOp();
  if (!op || !loop->isProperAncestor(op))
    return !loop->isAncestor(value.getParentBlock()->getParentOp());
  if (tile::isTile(value.getType()) || isa<tile::ViewType>(value.getType()) ||
      op->getNumRegions() || !llvm::all_of(op->getOperands(), [&](Value operand) {
        return collectScalars(operand, loop, operations);
      }))
    return false;
  operations.insert(op);
  return true;
}

/// Where the next round of the loop around it will find a window; in the last round, the same
/// place. Null where that is not known, or always the same.
Value Lowering::rowOfNextRound(tile::LoadOp load, const Window &window) {
  if (load.getRows())
    return {};
  if (movesWithLoop(load, 0))
    return frame.add(window.row, frame.constant(window.tileRows));
  auto around = load->getParentOfType<scf::ForOp>();
  llvm::SetVector<Operation *> operations;
  Value row = load.getOffsets()[0];
  if (!around || !collectScalars(row, around, operations) || operations.empty())
    return {};
  Value round = scalars.lookup(around.getInductionVar());
  Value next = arith::AddIOp::create(builder, loc, round, scalars.lookup(around.getStep()));
  Value inside = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::slt, next,
                                       scalars.lookup(around.getUpperBound()));
  llvm::DenseMap<Value, Value> ofThisRound = scalars;
  scalars[around.getInductionVar()] = arith::SelectOp::create(builder, loc, inside, next, round);
  bool lowered =
      llvm::all_of(operations, [&](Operation *op) { return succeeded(lowerScalar(op)); });
  Value found = lowered ? frame.widen(scalars.lookup(row)) : Value();
  scalars = std::move(ofThisRound);
  return found;
}

tile::DotOp Lowering::streamedInto(tile::LoadOp load) const {
  tile::DotOp dot = onlyReader(load);
  if (!dot || dot->getBlock() != load->getBlock() || !isUndisturbed(load, dot))
    return {};
  DotOperands operands = operandsOf(dot);
  auto type = load.getResult().getType();
  int64_t rows = type.getDimSize(0), columns = type.getDimSize(1), width = target.lanes();
  Type element = load.getView().getType().getElementType();
  std::optional<HiddenPart> hidden = hiddenPartOf(dot);
  if (operands.lanes != load.getResult() || !isWhole(load, columns) || !isa<FloatType>(element) ||
      (operands.paired && !element.isBF16()) ||
      (hidden && hasVisibleRanges(*hidden, dot.getResult())))
    return {};
  int64_t rowsOfResult = rowsOf(dot.getResult()), ofWord = operands.paired ? 2 : 1;
  bool fits;
  if (operands.lanesFormat.lane == 1)
    fits = columns % width == 0 && rows % ofWord == 0 &&
           RegisterBlock::ofAllRows(columns / width, rowsOfResult, target);
  else
    fits = columns % (width * ofWord) == 0 && std::has_single_bit(uint64_t(rowsOfResult)) &&
           2 * rowsOfResult <= width && rows % (width / rowsOfResult) == 0 &&
           operands.rowsFormat.lane == operands.rowsContracted;
  return fits ? dot : tile::DotOp();
}

void Lowering::emitStreamedDot(tile::DotOp dot, tile::LoadOp load, const Buffer &scalarwise,
                               const Buffer *acc, const Buffer &result, int phase) {
  DotOperands operands = operandsOf(dot);
  WindowRows rows = rowsOf(load, phase);
  const Window &window = rows.window;
  Type element = window.view->element;
  int64_t width = target.lanes(), bytes = element.getIntOrFloatBitWidth() / 8;
  Value nextRow = rowOfNextRound(load, window);
  auto rowAddress = [&](Value r, Value firstByte, int64_t count) -> Value {
    Value row = rowInView(window, r);
    if (nextRow)
      prefetch(frame.pointerAt(rowPointer(window, frame.add(nextRow, r)), firstByte), 0, count);
    return rowOrFill(rows, row, r);
  };
  if (operands.lanesFormat.lane == 0)
    return emitFoldedDot(
        dot, scalarwise, acc, result, window.tileRows, window.tileColumns,
        [&](Value r) { return rowAddress(r, frame.constant(0), window.tileColumns * bytes); },
        element);

  RegisterBlock block = *RegisterBlock::ofAllRows(result.stride / width, result.outer, target);
  emitDot(dot, block, std::nullopt, scalarwise, acc, result, [&](Value lane) -> LaneVectors {
    Value firstByte = frame.mul(lane, bytes);
    auto rowAt = [&, firstByte](Value r) {
      return frame.pointerAt(rowAddress(r, firstByte, block.vectors * width * bytes), firstByte);
    };
    return [&, rowAt](Value step) {
      SmallVector<Value> vectors;
      auto vectorAt = [&](Value row, int64_t v, int64_t count) {
        return loadVector(frame.pointerAt(row, frame.constant(v * width * bytes)), element, count,
                          bytes);
      };
      if (!operands.paired) {
        Value row = rowAt(step);
        for (int64_t v = 0; v < block.vectors; ++v)
          vectors.push_back(convert(vectorAt(row, v, width), builder.getF32Type()));
        return vectors;
      }
      Value first = frame.mul(step, 2);
      Value row = rowAt(first), next = rowAt(frame.add(first, frame.constant(1)));
      // Two vectors of pairs are one of each row.
      for (int64_t v = 0; v < block.vectors; v += 2) {
        int64_t count = std::min<int64_t>(2, block.vectors - v) * width;
        Value a = vectorAt(row, v, count), b = vectorAt(next, v, count);
        for (int64_t from = 0; from < count; from += width) {
          SmallVector<int64_t> lanesOfPairs;
          for (int64_t i = from; i < from + width; ++i)
            lanesOfPairs.append({i, count + i});
          vectors.push_back(vector::ShuffleOp::create(builder, loc, a, b, lanesOfPairs));
        }
      }
      return vectors;
    };
  });
}

/// Lane i of the result is the sum of the lanes of vector i; as many vectors as each has lanes. In
/// log2 steps, each of which adds the halves of two squares' rows.
Value Lowering::fold(SmallVector<Value> vectors) {
  int64_t width = target.lanes();
  for (int64_t t = 1; t < width; t *= 2) {
    SmallVector<int64_t> upper, lower;
    for (int64_t lane = 0; lane < width; ++lane) {
      bool second = lane & t;
      upper.push_back(second ? width + lane - t : lane);
      lower.push_back(second ? width + lane : lane + t);
    }
    SmallVector<Value> sums;
    for (size_t i = 0; i < vectors.size(); i += 2) {
      Value a = vectors[i], b = vectors[i + 1];
      sums.push_back(arith::AddFOp::create(builder, loc,
                                           vector::ShuffleOp::create(builder, loc, a, b, upper),
                                           vector::ShuffleOp::create(builder, loc, a, b, lower)));
    }
    vectors = sums;
  }
  return vectors[0];
}

/// Rows of the result times as many rows of the window as make a vector of sums: row r, key j in
/// vector r * keys + j.
void Lowering::emitFoldedDot(tile::DotOp dot, const Buffer &scalarwise, const Buffer *acc,
                             const Buffer &result, int64_t windowRows, int64_t windowColumns,
                             llvm::function_ref<Value(Value)> rowAddress, Type element) {
  int64_t width = target.lanes(), rows = result.outer, keys = width / rows;
  bool paired = operandsOf(dot).paired;
  int64_t perVector = paired ? 2 * width : width;
  int64_t bytes = element.getIntOrFloatBitWidth() / 8;
  Type f32 = builder.getF32Type();
  loop(frame.constant(0), frame.constant(windowRows), keys, {}, [&](Value key, ValueRange) {
    SmallVector<Value> pointers;
    for (int64_t j = 0; j < keys; ++j)
      pointers.push_back(rowAddress(frame.add(key, frame.constant(j))));
    SmallVector<Value> none(static_cast<size_t>(width), zero(VectorType::get({width}, f32)));
    auto products =
        loop(frame.constant(0), frame.constant(windowColumns), perVector, none,
             [&](Value column, ValueRange sums) {
               SmallVector<Value> factors, next;
               for (int64_t r = 0; r < rows; ++r) {
                 Value at = elementOffset(scalarwise, frame.constant(r), column);
                 factors.push_back(loadVector(bufferPointer(scalarwise, at), scalarwise.element,
                                              perVector, 4 * width));
               }
               SmallVector<Value> ofKeys;
               for (Value pointer : pointers) {
                 Value vector = loadVector(frame.pointerAt(pointer, frame.mul(column, bytes)),
                                           element, perVector, bytes);
                 ofKeys.push_back(paired ? vector : convert(vector, f32));
               }
               for (int64_t r = 0; r < rows; ++r)
                 for (int64_t j = 0; j < keys; ++j)
                   next.push_back(multiplyAdd(ofKeys[j], factors[r], sums[r * keys + j]));
               return next;
             });
    Value sums = fold(SmallVector<Value>(products.getResults()));
    for (int64_t r = 0; r < rows; ++r) {
      SmallVector<int64_t> ofRow;
      for (int64_t j = 0; j < keys; ++j)
        ofRow.push_back(r * keys + j);
      Value row = vector::ShuffleOp::create(builder, loc, sums, sums, ofRow);
      Value at = elementOffset(result, frame.constant(r), key);
      if (acc)
        row = arith::AddFOp::create(builder, loc, row,
                                    loadVector(bufferPointer(*acc, at), f32, keys, 4 * keys));
      storeVector(row, bufferPointer(result, at), 4 * keys);
    }
    return SmallVector<Value>();
  });
}
