#include "ringc/compiler/passes/cpu/TileRegisters.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include <array>

using namespace mlir;
using namespace ringc::cpu;

void TileRegisters::call(Location loc, StringRef name, ValueRange arguments) {
  LLVM::CallIntrinsicOp::create(builder, loc, builder.getStringAttr(name), arguments);
}

Value TileRegisters::number(Location loc, int tile) {
  return arith::ConstantOp::create(builder, loc,
                                   builder.getI8IntegerAttr(static_cast<int8_t>(tile)));
}

Value TileRegisters::rowOf(int tile, Value row) {
  return frame.pointerAt(memory, frame.add(frame.mul(row, rowBytes), frame.constant(tile * bytes)));
}

void TileRegisters::forRows(Location loc, llvm::function_ref<void(Value)> body) {
  auto made =
      scf::ForOp::create(builder, loc, frame.constant(0), frame.constant(rows), frame.constant(1));
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPoint(made.getBody()->getTerminator());
  body(made.getInductionVar());
}

void TileRegisters::configure(Location loc) {
  if (kind == Kind::Loops)
    return;
  // Intel's manual, LDTILECFG: palette 1; from byte 16 on the bytes of a row of each register, from
  // 48 on its rows.
  std::array<int8_t, 64> shapes{};
  shapes[0] = 1;
  for (int tile = 0; tile < count; ++tile) {
    shapes[static_cast<size_t>(16 + 2 * tile)] = rowBytes;
    shapes[static_cast<size_t>(48 + tile)] = rows;
  }
  auto type = VectorType::get({64}, builder.getI8Type());
  Value constant = arith::ConstantOp::create(
      builder, loc, DenseElementsAttr::get(type, ArrayRef<int8_t>(shapes)));
  Value pointer = frame.pointerAt(memory, frame.constant(count * bytes));
  LLVM::StoreOp::create(builder, loc, constant, pointer, 64);
  call(loc, "llvm.x86.ldtilecfg", pointer);
}

void TileRegisters::release(Location loc) {
  if (kind == Kind::Instructions)
    call(loc, "llvm.x86.tilerelease", {});
}

void TileRegisters::zero(Location loc, int tile) {
  if (kind == Kind::Instructions)
    return call(loc, "llvm.x86.tilezero", number(loc, tile));
  auto type = VectorType::get({lanes}, builder.getF32Type());
  Value none = arith::ConstantOp::create(builder, loc, builder.getZeroAttr(type));
  forRows(loc, [&](Value row) {
    for (int64_t at = 0; at < rowBytes; at += 4 * lanes)
      LLVM::StoreOp::create(builder, loc, none,
                            frame.pointerAt(rowOf(tile, row), frame.constant(at)), 4);
  });
}

void TileRegisters::copyRows(Location loc, llvm::function_ref<Value(Value)> from,
                             llvm::function_ref<Value(Value)> to) {
  auto type = VectorType::get({lanes}, builder.getI32Type());
  forRows(loc, [&](Value row) {
    Value source = from(row), target = to(row);
    for (int64_t at = 0; at < rowBytes; at += 4 * lanes) {
      Value part =
          LLVM::LoadOp::create(builder, loc, type, frame.pointerAt(source, frame.constant(at)), 4);
      LLVM::StoreOp::create(builder, loc, part, frame.pointerAt(target, frame.constant(at)), 4);
    }
  });
}

void TileRegisters::load(Location loc, int tile, Value pointer, int64_t stride) {
  if (kind == Kind::Instructions)
    return call(loc, "llvm.x86.tileloadd64", {number(loc, tile), pointer, frame.constant(stride)});
  copyRows(
      loc, [&](Value row) { return frame.pointerAt(pointer, frame.mul(row, stride)); },
      [&](Value row) { return rowOf(tile, row); });
}

void TileRegisters::store(Location loc, int tile, Value pointer, int64_t stride) {
  if (kind == Kind::Instructions)
    return call(loc, "llvm.x86.tilestored64", {number(loc, tile), pointer, frame.constant(stride)});
  copyRows(
      loc, [&](Value row) { return rowOf(tile, row); },
      [&](Value row) { return frame.pointerAt(pointer, frame.mul(row, stride)); });
}

void TileRegisters::multiplyAdd(Location loc, int sums, int a, int b, Type element) {
  if (kind == Kind::Instructions)
    return call(loc, element.isBF16() ? "llvm.x86.tdpbf16ps" : "llvm.x86.tdpfp16ps",
                {number(loc, sums), number(loc, a), number(loc, b)});
  Type f32 = builder.getF32Type(), word = builder.getI32Type();
  auto wide = VectorType::get({lanes}, f32), pairs = VectorType::get({2 * lanes}, element);
  auto half = [&](Value ofPairs, int64_t which) -> Value {
    SmallVector<int64_t> places;
    for (int64_t lane = 0; lane < lanes; ++lane)
      places.push_back(2 * lane + which);
    Value narrow = vector::ShuffleOp::create(builder, loc, ofPairs, ofPairs, places);
    return arith::ExtFOp::create(builder, loc, wide, narrow);
  };
  forRows(loc, [&](Value row) {
    forRows(loc, [&](Value pair) { // as many pairs in a row as rows
      Value at = frame.pointerAt(rowOf(a, row), frame.mul(pair, 4));
      Value scalar = LLVM::LoadOp::create(builder, loc, word, at, 4);
      scalar = vector::BroadcastOp::create(builder, loc, VectorType::get({lanes}, word), scalar);
      scalar = LLVM::BitcastOp::create(builder, loc, pairs, scalar);
      for (int64_t byte = 0; byte < rowBytes; byte += 4 * lanes) {
        auto placeIn = [&](int tile, Value of) {
          return frame.pointerAt(rowOf(tile, of), frame.constant(byte));
        };
        Value factors = LLVM::LoadOp::create(builder, loc, pairs, placeIn(b, pair), 4);
        Value sum = LLVM::LoadOp::create(builder, loc, wide, placeIn(sums, row), 4);
        for (int64_t which : {0, 1})
          sum = LLVM::FMAOp::create(builder, loc, wide,
                                    ValueRange{half(scalar, which), half(factors, which), sum});
        LLVM::StoreOp::create(builder, loc, sum, placeIn(sums, row), 4);
      }
    });
  });
}
