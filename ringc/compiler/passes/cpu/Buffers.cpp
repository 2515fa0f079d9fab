#include "ringc/compiler/passes/cpu/Lowering.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace ringc;
using namespace ringc::cpu;

Type Lowering::storageType(Type element) const {
  if (element.isInteger(1))
    return IntegerType::get(element.getContext(), 8);
  if ((element.isBF16() && keepsBf16) || (element.isF16() && keepsF16))
    return element;
  return isa<FloatType>(element) ? Float32Type::get(element.getContext()) : element;
}

Buffer Lowering::makeBuffer(Value tile, Format format, int phase, int lastPhase) {
  auto type = cast<RankedTensorType>(tile.getType());
  Buffer buffer;
  buffer.format = format;
  buffer.element = storageType(type.getElementType());
  buffer.outer = type.getDimSize(1 - format.lane);
  buffer.lanes = type.getDimSize(format.lane);
  buffer.stride = llvm::alignTo(buffer.lanes, target.lanes());
  if (hasTiles)
    fillTiles(buffer);
  buffer.offset = scratch.allocate(buffer.bytes(), phase, lastPhase);
  return buffer;
}

const Buffer *Lowering::findBuffer(Value tile, std::optional<Format> format) const {
  auto it = buffers.find(tile);
  if (it == buffers.end())
    return nullptr;
  for (const Buffer &buffer : it->second)
    if (!format || buffer.format == *format)
      return &buffer;
  return nullptr;
}

Buffer Lowering::bufferIn(Value tile, Format format, int phase) {
  if (const Buffer *there = findBuffer(tile, format))
    return *there;
  Buffer made = makeBuffer(tile, format, phase, phase);
  if (const Buffer *other = findBuffer(tile)) {
    copyBuffer(*other, made);
  } else {
    assert(isSplat(tile) && "a tile with neither buffer nor value");
    fillFromSplat(made, tile);
  }
  return made;
}

Value Lowering::bufferPointer(const Buffer &buffer, Value byteOffset) {
  Value base = buffer.carried ? buffer.carried : frame.scratch();
  return frame.pointerAt(base, frame.add(byteOffset, frame.constant(buffer.offset)));
}

Value Lowering::elementOffset(const Buffer &buffer, Value outer, Value lane) {
  if (!buffer.format.paired)
    return frame.mul(frame.add(frame.mul(outer, buffer.stride), lane), buffer.elementBytes());
  Value pair = arith::ShRUIOp::create(builder, loc, outer, frame.constant(1));
  Value half = arith::AndIOp::create(builder, loc, outer, frame.constant(1));
  Value word = frame.add(frame.mul(pair, buffer.stride), lane);
  return frame.mul(frame.add(frame.mul(word, 2), half), buffer.elementBytes());
}

Value Lowering::loadVector(Value pointer, Type element, int64_t count, int64_t alignment) {
  return LLVM::LoadOp::create(builder, loc, VectorType::get({count}, element), pointer,
                              static_cast<unsigned>(alignment));
}

void Lowering::storeVector(Value vector, Value pointer, int64_t alignment) {
  LLVM::StoreOp::create(builder, loc, vector, pointer, static_cast<unsigned>(alignment));
}

Value Lowering::broadcast(Value scalar, int64_t count) {
  return vector::BroadcastOp::create(builder, loc, VectorType::get({count}, scalar.getType()),
                                     scalar);
}

/// f32 to the nearest bf16, ties to even, a NaN to a quiet one. Without AVX512_BF16 LLVM would call
/// a function of compiler-rt for each element, which nobody here has.
static Value roundedToBf16(OpBuilder &builder, Location loc, Value value, Type to) {
  auto like = [&](Type element) -> Type {
    auto vector = dyn_cast<VectorType>(to);
    return vector ? Type(VectorType::get(vector.getShape(), element)) : element;
  };
  Type wide = like(builder.getI32Type()), narrow = like(builder.getI16Type());
  auto constant = [&](int64_t number) -> Value {
    Attribute element = builder.getI32IntegerAttr(static_cast<int32_t>(number));
    if (auto vector = dyn_cast<VectorType>(wide))
      return arith::ConstantOp::create(builder, loc, DenseElementsAttr::get(vector, element));
    return arith::ConstantOp::create(builder, loc, cast<TypedAttr>(element));
  };
  Value bits = arith::BitcastOp::create(builder, loc, wide, value);
  Value high = arith::ShRUIOp::create(builder, loc, bits, constant(16));
  Value odd = arith::AndIOp::create(builder, loc, high, constant(1));
  Value half = arith::AddIOp::create(builder, loc, odd, constant(0x7fff));
  Value rounded = arith::ShRUIOp::create(
      builder, loc, arith::AddIOp::create(builder, loc, bits, half), constant(16));
  Value quiet = arith::OrIOp::create(builder, loc, high, constant(0x40));
  Value isNone = arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::UNO, value, value);
  Value chosen = arith::SelectOp::create(builder, loc, isNone, quiet, rounded);
  return arith::BitcastOp::create(builder, loc, to,
                                  arith::TruncIOp::create(builder, loc, narrow, chosen));
}

Value Lowering::convert(Value value, Type element) {
  Type from = getElementTypeOrSelf(value.getType());
  if (from == element)
    return value;
  Type to = element;
  if (auto vector = dyn_cast<VectorType>(value.getType()))
    to = VectorType::get(vector.getShape(), element);
  if (isa<FloatType>(from) && isa<FloatType>(element)) {
    if (from.getIntOrFloatBitWidth() < element.getIntOrFloatBitWidth())
      return arith::ExtFOp::create(builder, loc, to, value);
    if (element.isBF16() && from.isF32() && !target.hasBf16Dot)
      return roundedToBf16(builder, loc, value, to);
    if (from.getIntOrFloatBitWidth() > element.getIntOrFloatBitWidth())
      return arith::TruncFOp::create(builder, loc, to, value);
    Type wide = builder.getF32Type();
    return convert(convert(value, wide), element);
  }
  if (element.isInteger(1))
    return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ne, value,
                                 zero(value.getType()));
  assert(from.isInteger(1) && "conversions of the language are explicit");
  return arith::ExtUIOp::create(builder, loc, to, value);
}

Value Lowering::zero(Type type) {
  return arith::ConstantOp::create(builder, loc, builder.getZeroAttr(type));
}

scf::ForOp Lowering::loop(Value lower, Value upper, int64_t step, ValueRange inits,
                          llvm::function_ref<SmallVector<Value>(Value, ValueRange)> body) {
  auto made = scf::ForOp::create(builder, loc, lower, upper, frame.constant(step), inits);
  OpBuilder::InsertionGuard guard(builder);
  Block *block = made.getBody();
  if (inits.empty())
    builder.setInsertionPoint(block->getTerminator());
  else
    builder.setInsertionPointToEnd(block);
  SmallVector<Value> results = body(made.getInductionVar(), made.getRegionIterArgs());
  if (!inits.empty())
    scf::YieldOp::create(builder, loc, results);
  return made;
}

/// A format conversion nobody planned for: element by element.
void Lowering::copyBuffer(const Buffer &from, const Buffer &to) {
  bool sameAxis = from.format.lane == to.format.lane;
  if (from.format == to.format && from.element == to.element) {
    int64_t lanesAtOnce = target.vectorBytes;
    loop(frame.constant(0), frame.constant(from.bytes()), lanesAtOnce, {},
         [&](Value at, ValueRange) {
           Value bits = loadVector(bufferPointer(from, at), builder.getI8Type(), lanesAtOnce, 64);
           storeVector(bits, bufferPointer(to, at), 64);
           return SmallVector<Value>();
         });
    return;
  }
  if (to.stride != to.lanes || to.hasZeroRows())
    fillBuffer(to, zero(to.element));
  loop(frame.constant(0), frame.constant(to.outer), 1, {}, [&](Value outer, ValueRange) {
    loop(frame.constant(0), frame.constant(to.lanes), 1, {}, [&](Value lane, ValueRange) {
      Value source = sameAxis ? elementOffset(from, outer, lane) : elementOffset(from, lane, outer);
      Value value = LLVM::LoadOp::create(builder, loc, from.element, bufferPointer(from, source));
      LLVM::StoreOp::create(builder, loc, convert(value, to.element),
                            bufferPointer(to, elementOffset(to, outer, lane)));
      return SmallVector<Value>();
    });
    return SmallVector<Value>();
  });
}

void Lowering::fillBuffer(const Buffer &to, Value scalar) {
  Value vector = broadcast(convert(scalar, to.element), target.vectorBytes / to.elementBytes());
  loop(frame.constant(0), frame.constant(to.bytes() / target.vectorBytes * target.vectorBytes),
       target.vectorBytes, {}, [&](Value at, ValueRange) {
         storeVector(vector, bufferPointer(to, at), target.vectorBytes);
         return SmallVector<Value>();
       });
}

void Lowering::fillFromSplat(const Buffer &to, Value tile) {
  if (auto splat = tile.getDefiningOp<tile::SplatOp>())
    return fillBuffer(to, scalars.lookup(splat.getValue()));
  auto constant = tile.getDefiningOp<arith::ConstantOp>();
  auto value = cast<DenseElementsAttr>(constant.getValue()).getSplatValue<TypedAttr>();
  fillBuffer(to, arith::ConstantOp::create(builder, loc, value));
}

std::pair<Value, bool> ringc::cpu::throughTransposes(Value tile) {
  bool swapped = false;
  while (auto transpose = tile.getDefiningOp<tile::TransposeOp>()) {
    tile = transpose.getOperand();
    swapped = !swapped;
  }
  return {tile, swapped};
}

bool ringc::cpu::isSplat(Value tile) {
  if (tile.getDefiningOp<tile::SplatOp>())
    return true;
  auto constant = tile.getDefiningOp<arith::ConstantOp>();
  return constant && isa<SplatElementsAttr>(constant.getValue());
}

bool ringc::cpu::isZero(Value tile) {
  auto constant = tile.getDefiningOp<arith::ConstantOp>();
  if (!constant || !isSplat(tile))
    return false;
  auto value = cast<DenseElementsAttr>(constant.getValue()).getSplatValue<Attribute>();
  auto number = dyn_cast<FloatAttr>(value);
  return number && number.getValue().isZero();
}
