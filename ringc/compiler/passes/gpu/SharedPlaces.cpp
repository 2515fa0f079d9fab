// Shared memory: the addresses of a thread's elements.

#include "ringc/compiler/passes/gpu/Thread.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace ringc;
using namespace ringc::gpu;

/// What is constant is added to the pointer, where it becomes a part of the instruction: one
/// register serves all addresses that differ by constants.
Value Thread::sharedPointer(Value byteOffset, int64_t constant) {
  if (auto sum = byteOffset.getDefiningOp<arith::AddIOp>())
    if (APInt further; matchPattern(sum.getRhs(), m_ConstantInt(&further))) {
      byteOffset = sum.getLhs();
      constant += further.getSExtValue();
    }
  auto step = [&](Value from, Value by) -> Value {
    return LLVM::GEPOp::create(builder, loc, from.getType(), builder.getI8Type(), from,
                               ValueRange{by});
  };
  Value pointer = step(code.sharedBase, byteOffset);
  return constant ? step(pointer, frame.constant(constant)) : pointer;
}

int64_t Thread::bitsOf(int64_t lanes, int64_t count) {
  auto warps = static_cast<int64_t>(llvm::PowerOf2Ceil(static_cast<uint64_t>(count)));
  return lanes | (warps - 1) * 16;
}

/// An element of a tile. Chunks of a swizzled line are exchanged by exclusive or, which constants
/// pass: lines and groups of eight rows become a part of the instruction, and a chunk within a line
/// is one operation on an address that all chunks share.
Value Thread::placeIn(const SharedTile &tile, SharedCoordinate row, SharedCoordinate column) {
  int64_t pitch = tile.rowBytes(), further = column.further * tile.elementBytes;
  if (!tile.swizzled) {
    Value at = add(mul(row.first, pitch), mul(column.first, tile.elementBytes));
    if (tile.stage)
      at = add(at, tile.stage);
    return sharedPointer(at, tile.offset + row.further * pitch + further);
  }
  int64_t inGroup = row.further % 8, chunk = further % SharedTile::lineBytes / 16 * 16;
  int64_t constant = tile.offset + (row.further - inGroup) * pitch + further - chunk;
  Value rowHere = inGroup ? add(row.first, i32(inGroup)) : row.first;
  Value columnBytes = mul(column.first, tile.elementBytes);
  bool apart = (chunk & column.bits * tile.elementBytes) == 0;
  if (!apart)
    columnBytes = add(columnBytes, i32(chunk));
  Value group = arith::AndIOp::create(builder, loc, rowHere, i32(7));
  Value exchanged = arith::XOrIOp::create(builder, loc, columnBytes, mul(group, 16));
  Value at = mul(rowHere, pitch);
  if (tile.stage)
    at = add(at, tile.stage);
  Value pointer = sharedPointer(add(at, exchanged));
  if (apart && chunk) {
    Type i64 = builder.getI64Type();
    Value bits = LLVM::PtrToIntOp::create(builder, loc, i64, pointer);
    bits = arith::XOrIOp::create(builder, loc, bits, frame.constant(chunk));
    pointer = LLVM::IntToPtrOp::create(builder, loc, pointer.getType(), bits);
  }
  return constant ? LLVM::GEPOp::create(builder, loc, pointer.getType(), builder.getI8Type(),
                                        pointer, ValueRange{frame.constant(constant)})
                        .getResult()
                  : pointer;
}
