#include "ringc/compiler/passes/gpu/Thread.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace ringc;
using namespace ringc::gpu;

ThreadCode::ThreadCode(func::FuncOp k, const CompiledKernel &interface, const GpuTarget &t)
    : kernel(k), target(t), builder(k.getContext()), loc(k.getLoc()), grid(block::warpsOf(k)),
      frame(builder, k, interface, cpu::KernelFrame::Entry::Device),
      scalarCode(builder, loc, frame, scalars) {}

/// Everything that follows from the thread's number.
void Thread::placeThread() {
  lane = arith::AndIOp::create(builder, loc, thread, i32(31));
  warp = arith::ShRUIOp::create(builder, loc, thread, i32(5));
  Value quad = arith::ShRUIOp::create(builder, loc, lane, i32(2));
  mWarp = warp;
  nBase = mul(arith::AndIOp::create(builder, loc, lane, i32(3)), 2);
  if (grid.n > 1) {
    mWarp = arith::RemUIOp::create(builder, loc, warp, i32(grid.m));
    nWarp = arith::DivUIOp::create(builder, loc, warp, i32(grid.m));
    nBase = add(mul(nWarp, 16), nBase);
  }
  mBase = add(mul(mWarp, 16), quad);
}

/// The thread's number, read again: what follows from it keeps no register until then. LLVM would
/// find that it is the same, were the reading not volatile (recompute-behind-loops).
Value Thread::threadAgain() {
  Value again = LLVM::InlineAsmOp::create(
                    builder, loc, builder.getI32Type(), ValueRange(), "mov.u32 $0, %tid.x;", "=r",
                    /*has_side_effects=*/true, /*is_align_stack=*/false, LLVM::TailCallKind::None,
                    LLVM::AsmDialectAttr(), ArrayAttr())
                    .getResult(0);
  // Which bits it may have.
  bool allBits = !llvm::isPowerOf2_64(static_cast<uint64_t>(threads()));
  return allBits ? again
                 : arith::AndIOp::create(builder, loc, again, i32(threads() - 1)).getResult();
}

/// Constants last, where rows that differ by constants have positions that do.
Value Thread::position(const cpu::KernelFrame::Positions &positions, Value row) {
  return positions.layout == "contiguous" ? add(positions.first, row)
                                          : frame.position(positions, row);
}

void Thread::barrier() { call("llvm.nvvm.barrier.cta.sync.aligned.all", {i32(0)}); }

std::optional<Fragment> Thread::fragmentOf(Value tile) {
  auto it = fragments.find(tile);
  if (it != fragments.end())
    return it->second;
  // A constant is made where it is used.
  auto constant = tile.getDefiningOp<arith::ConstantOp>();
  auto splat = constant ? dyn_cast<SplatElementsAttr>(constant.getValue()) : SplatElementsAttr();
  if (!splat)
    return std::nullopt;
  Value value = arith::ConstantOp::create(builder, loc, splat.getSplatValue<TypedAttr>());
  return Fragment{{}, {value}};
}

FailureOr<Fragment> Thread::whole(Value tile, Operation *user) {
  std::optional<Fragment> fragment = fragmentOf(tile);
  if (!fragment)
    return user->emitOpError("reads a tile that is not in registers");
  FragmentLayout own = layoutOf(tile);
  if (fragment->layout.kind == FragmentLayout::Kind::Matrix && own.mAxis != fragment->layout.mAxis)
    return user->emitOpError("needs a tile's axes the other way round, for which there is no "
                             "conversion between registers");
  return *fragment;
}

Fragment Thread::expanded(const Fragment &fragment, const FragmentLayout &to) {
  Fragment made{to, {}};
  for (int64_t e = 0; e < to.count(); ++e)
    made.elements.push_back(
        fragment.elements[static_cast<size_t>(fragment.layout.at(to.mOf(e), to.nOf(e)))]);
  return made;
}

Value Thread::mAt(int64_t index) { return add(mBase, i32(grid.mFurther(index))); }
Value Thread::nAt(int64_t index) { return add(nBase, i32(grid.nFurther(index))); }

Value Thread::intrinsic(Type type, StringRef name, ValueRange operands) {
  return LLVM::CallIntrinsicOp::create(builder, loc, type, builder.getStringAttr(name), operands)
      .getResult(0);
}
void Thread::call(StringRef name, ValueRange operands) {
  LLVM::CallIntrinsicOp::create(builder, loc, builder.getStringAttr(name), operands);
}
/// ptxas unrolls short loops fourfold, those too that hardly ever run: a fifth of a kernel's
/// instructions. The attribute has the name that it has of a branch of the LLVM dialect, where it
/// ends up.
void Thread::keepRolled(scf::ForOp loop) {
  MLIRContext *context = builder.getContext();
  auto unroll = LLVM::LoopUnrollAttr::get(context, /*disable=*/builder.getBoolAttr(true), {}, {},
                                          {}, {}, {}, {});
  loop->setAttr("loop_annotation",
                LLVM::LoopAnnotationAttr::get(context, {}, {}, {}, unroll, {}, {}, {}, {}, {}, {},
                                              {}, {}, {}, {}, {}));
}
std::pair<Value, int64_t> ringc::gpu::throughConstant(Value value) {
  APInt constant;
  if (matchPattern(value, m_ConstantInt(&constant)))
    return {Value(), constant.getSExtValue()};
  auto sum = value.getDefiningOp<arith::AddIOp>();
  if (sum && matchPattern(sum.getRhs(), m_ConstantInt(&constant)))
    return {sum.getLhs(), constant.getSExtValue()};
  return {value, 0};
}

/// Constants are added last, so that numbers which differ by constants share the rest: the elements
/// that a thread has of a tile are one register and constants of instructions.
Value Thread::add(Value a, Value b) {
  auto [varyingA, constantA] = throughConstant(a);
  auto [varyingB, constantB] = throughConstant(b);
  Value varying = varyingA ? varyingA : varyingB;
  if (varyingA && varyingB)
    varying = arith::AddIOp::create(builder, loc, varyingA, varyingB);
  int64_t constant = static_cast<int32_t>(constantA + constantB);
  if (!varying)
    return i32(constant);
  return constant ? arith::AddIOp::create(builder, loc, varying, i32(constant)).getResult()
                  : varying;
}
Value Thread::subtract(Value a, Value b) {
  auto [varyingA, constantA] = throughConstant(a);
  auto [varyingB, constantB] = throughConstant(b);
  Value varying = varyingA ? varyingA : i32(0);
  if (varyingB)
    varying = arith::SubIOp::create(builder, loc, varying, varyingB);
  return add(varying, i32(static_cast<int32_t>(constantA - constantB)));
}
Value Thread::mul(Value a, int64_t b) {
  auto [varying, constant] = throughConstant(a);
  if (!varying)
    return i32(static_cast<int32_t>(constant * b));
  if (b != 1)
    varying = arith::MulIOp::create(builder, loc, varying, i32(b));
  return add(varying, i32(static_cast<int32_t>(constant * b)));
}
Value Thread::zeroOf(Type type) {
  return arith::ConstantOp::create(builder, loc, builder.getZeroAttr(type));
}
Value Thread::global(Value pointer) {
  return LLVM::AddrSpaceCastOp::create(
      builder, loc, LLVM::LLVMPointerType::get(builder.getContext(), 1), pointer);
}
static unsigned bytesOf(Type type) {
  auto vector = dyn_cast<VectorType>(type);
  unsigned bits =
      vector ? static_cast<unsigned>(vector.getNumElements()) * vector.getElementTypeBitWidth()
             : type.getIntOrFloatBitWidth();
  return bits / 8;
}
void Thread::store(Value value, Value pointer) {
  LLVM::StoreOp::create(builder, loc, value, pointer, bytesOf(value.getType()));
}
Value Thread::load(Type type, Value pointer) {
  return LLVM::LoadOp::create(builder, loc, type, pointer, bytesOf(type));
}
void Thread::storeTogether(ArrayRef<Value> values, Value pointer) {
  if (values.size() == 1)
    return store(values.front(), pointer);
  Type type = VectorType::get({static_cast<int64_t>(values.size())}, values.front().getType());
  Value all = LLVM::UndefOp::create(builder, loc, type);
  for (auto [i, each] : llvm::enumerate(values))
    all = LLVM::InsertElementOp::create(builder, loc, all, each, i32(static_cast<int64_t>(i)));
  store(all, pointer);
}
SmallVector<Value> Thread::loadTogether(Type type, int64_t count, Value pointer) {
  if (count == 1)
    return {load(type, pointer)};
  Value all = load(VectorType::get({count}, type), pointer);
  SmallVector<Value> values;
  for (int64_t i = 0; i < count; ++i)
    values.push_back(LLVM::ExtractElementOp::create(builder, loc, all, i32(i)));
  return values;
}

Value Thread::pack(Value low, Value high) {
  auto lowCast = low.getDefiningOp<arith::TruncFOp>(),
       highCast = high.getDefiningOp<arith::TruncFOp>();
  Type pair = VectorType::get({2}, low.getType());
  Value both;
  Value zeroWhere; // both are zero there: chosen once for the two
  if (lowCast && highCast && lowCast.getIn().getType().isF32() &&
      highCast.getIn().getType().isF32()) {
    StringRef name = low.getType().isBF16() ? "llvm.nvvm.ff2bf16x2.rn" : "llvm.nvvm.ff2f16x2.rn";
    low = lowCast.getIn(), high = highCast.getIn();
    auto ofLow = low.getDefiningOp<arith::SelectOp>(),
         ofHigh = high.getDefiningOp<arith::SelectOp>();
    if (ofLow && ofHigh && ofLow.getCondition() == ofHigh.getCondition() &&
        matchPattern(ofLow.getTrueValue(), m_PosZeroFloat()) &&
        matchPattern(ofHigh.getTrueValue(), m_PosZeroFloat())) {
      zeroWhere = ofLow.getCondition();
      low = ofLow.getFalseValue(), high = ofHigh.getFalseValue();
    }
    both = intrinsic(pair, name, {high, low});
  } else {
    both = LLVM::UndefOp::create(builder, loc, pair);
    both = LLVM::InsertElementOp::create(builder, loc, both, low, i32(0));
    both = LLVM::InsertElementOp::create(builder, loc, both, high, i32(1));
  }
  Value word = LLVM::BitcastOp::create(builder, loc, builder.getI32Type(), both);
  return zeroWhere ? arith::SelectOp::create(builder, loc, zeroWhere, i32(0), word).getResult()
                   : word;
}
