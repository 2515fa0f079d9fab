#include "ringc/compiler/passes/cpu/Lowering.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace ringc;
using namespace ringc::cpu;

/// Exchanges rows and columns of a square of registers: as many vectors as each has lanes, a power
/// of two. In log2 steps, each of which swaps the two blocks off the diagonal of every 2t x 2t
/// square.
void Lowering::transpose(MutableArrayRef<Value> rows) {
  int64_t count = static_cast<int64_t>(rows.size());
  for (int64_t t = 1; t < count; t *= 2) {
    SmallVector<int64_t> upper, lower;
    for (int64_t lane = 0; lane < count; ++lane) {
      bool second = lane & t;
      upper.push_back(second ? count + lane - t : lane);
      lower.push_back(second ? count + lane : lane + t);
    }
    for (int64_t i = 0; i < count; ++i) {
      if (i & t)
        continue;
      Value a = rows[i], b = rows[i + t];
      rows[i] = vector::ShuffleOp::create(builder, loc, a, b, upper);
      rows[i + t] = vector::ShuffleOp::create(builder, loc, a, b, lower);
    }
  }
}

/// Whether rows of a view become lanes a square of registers at a time: not where the tile is no
/// multiple of whole vectors.
bool Lowering::movesSquares(const Window &window, const Buffer &to) const {
  int64_t width = target.lanes();
  int64_t words = to.format.paired ? window.tileColumns / 2 : window.tileColumns;
  return window.tileRows % width == 0 && words % width == 0 &&
         window.tileColumns == words * (to.format.paired ? 2 : 1) &&
         isa<FloatType>(window.view->element);
}

/// Rows of a view to a buffer whose lanes are those rows, by squares, all columns being inside the
/// view. Pairs of 16-bit elements are moved as words.
void Lowering::emitTransposedLoad(const Window &window, const Buffer &to,
                                  llvm::function_ref<Value(Value)> sourceRow) {
  int64_t width = target.lanes();
  bool paired = to.format.paired;
  Type element = paired ? Type(builder.getI32Type()) : window.view->element;
  int64_t words = paired ? window.tileColumns / 2 : window.tileColumns;
  int64_t wordBytes = element.getIntOrFloatBitWidth() / 8;
  int64_t alignment = window.view->element.getIntOrFloatBitWidth() / 8;
  int64_t storedBytes = paired ? 4 : to.elementBytes();
  loop(frame.constant(0), frame.constant(window.tileRows), width, {}, [&](Value r, ValueRange) {
    SmallVector<Value> pointers;
    for (int64_t i = 0; i < width; ++i)
      pointers.push_back(sourceRow(frame.add(r, frame.constant(i))));
    loop(frame.constant(0), frame.constant(words), width, {}, [&](Value word, ValueRange) {
      SmallVector<Value> square;
      for (Value pointer : pointers) {
        Value row = loadVector(frame.pointerAt(pointer, frame.mul(word, wordBytes)), element, width,
                               alignment);
        square.push_back(paired ? row : convert(row, to.element));
      }
      transpose(square);
      for (int64_t i = 0; i < width; ++i) {
        Value outer = frame.add(word, frame.constant(i));
        Value at = frame.mul(frame.add(frame.mul(outer, to.stride), r), storedBytes);
        storeVector(square[i], bufferPointer(to, at), storedBytes);
      }
      return SmallVector<Value>();
    });
    return SmallVector<Value>();
  });
}

/// Whether rows of a view of 16-bit elements become unpaired lanes a square of words at a time.
bool Lowering::movesPairs(const Window &window, const Buffer &to) const {
  int64_t width = target.lanes();
  return !to.format.paired && to.elementBytes() == 2 && to.element == window.view->element &&
         window.tileRows % (2 * width) == 0 && window.tileColumns % width == 0;
}

/// The same for them: two rows, interleaved, are words, of which a square becomes as many rows of
/// twice as many elements.
void Lowering::emitPairwiseTransposedLoad(const Window &window, const Buffer &to,
                                          llvm::function_ref<Value(Value)> sourceRow) {
  int64_t width = target.lanes();
  auto words = VectorType::get({width}, builder.getI32Type());
  auto pairs = VectorType::get({2 * width}, to.element);
  loop(frame.constant(0), frame.constant(window.tileRows), 2 * width, {}, [&](Value r, ValueRange) {
    SmallVector<Value> pointers;
    for (int64_t i = 0; i < 2 * width; ++i)
      pointers.push_back(sourceRow(frame.add(r, frame.constant(i))));
    loop(frame.constant(0), frame.constant(window.tileColumns), width, {},
         [&](Value column, ValueRange) {
           auto rowAt = [&](int64_t i) {
             return loadVector(frame.pointerAt(pointers[i], frame.mul(column, 2)), to.element,
                               width, 2);
           };
           SmallVector<Value> square;
           for (int64_t i = 0; i < width; ++i) {
             Value row = vector::InterleaveOp::create(builder, loc, rowAt(2 * i), rowAt(2 * i + 1));
             square.push_back(LLVM::BitcastOp::create(builder, loc, words, row));
           }
           transpose(square);
           for (int64_t i = 0; i < width; ++i) {
             Value at = elementOffset(to, frame.add(column, frame.constant(i)), r);
             storeVector(LLVM::BitcastOp::create(builder, loc, pairs, square[i]),
                         bufferPointer(to, at), 2);
           }
           return SmallVector<Value>();
         });
    return SmallVector<Value>();
  });
}

/// A copy whose lanes are the columns, for storing row by row.
Buffer Lowering::rowMajor(const Buffer &from, int64_t rows, int64_t columns, int phase) {
  int64_t width = target.lanes();
  Buffer to;
  to.format = {1, false};
  to.element = from.element;
  to.outer = from.stride; // whole squares: padding lanes become rows that nobody stores
  to.lanes = columns;
  to.stride = llvm::alignTo(columns, width);
  to.offset = scratch.allocate(to.bytes(), phase, phase);
  auto moveSquare = [&](Value r, Value c, int64_t count) {
    SmallVector<Value> square;
    for (int64_t i = 0; i < width; ++i) {
      if (i >= count) {
        square.push_back(zero(VectorType::get({width}, from.element)));
        continue;
      }
      Value at = elementOffset(from, frame.add(c, frame.constant(i)), r);
      square.push_back(
          loadVector(bufferPointer(from, at), from.element, width, from.elementBytes()));
    }
    transpose(square);
    for (int64_t i = 0; i < width; ++i) {
      Value at = elementOffset(to, frame.add(r, frame.constant(i)), c);
      storeVector(square[i], bufferPointer(to, at), to.elementBytes());
    }
  };
  int64_t whole = columns / width * width;
  loop(frame.constant(0), frame.constant(llvm::alignTo(rows, width)), width, {},
       [&](Value r, ValueRange) {
         if (whole)
           loop(frame.constant(0), frame.constant(whole), width, {}, [&](Value c, ValueRange) {
             moveSquare(r, c, width);
             return SmallVector<Value>();
           });
         if (whole != columns)
           moveSquare(r, frame.constant(whole), columns - whole);
         return SmallVector<Value>();
       });
  return to;
}
