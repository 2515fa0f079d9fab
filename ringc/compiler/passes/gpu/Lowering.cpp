#include "ringc/compiler/passes/gpu/Lowering.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/IR/IRMapping.h"

#include <functional>
#include <tuple>

using namespace mlir;
using namespace ringc;
using namespace ringc::gpu;
using cpu::KernelFrame;

std::pair<Value, bool> ringc::gpu::throughTransposes(Value tile) {
  bool swapped = false;
  while (auto transpose = tile.getDefiningOp<tile::TransposeOp>()) {
    tile = transpose.getOperand();
    swapped = !swapped;
  }
  return {tile, swapped};
}

Lowering::Lowering(func::FuncOp k, const CompiledKernel &interface, const GpuTarget &t)
    : kernel(k), target(t), builder(k.getContext()), loc(k.getLoc()),
      axes(k, cpu::LaneAnalysis::Constants::Ignore),
      frame(builder, k, interface, KernelFrame::Entry::Device),
      scalarCode(builder, loc, frame, scalars) {}

FailureOr<func::FuncOp> Lowering::run() {
  chooseLayouts();
  auto module = kernel->getParentOfType<ModuleOp>();
  {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(module.getBody());
    LLVM::GlobalOp::create(builder, loc, LLVM::LLVMArrayType::get(builder.getI8Type(), 0),
                           /*isConstant=*/false, LLVM::Linkage::External, "shared_memory",
                           Attribute(), SharedTile::lineBytes, /*addrSpace=*/3);
  }
  Type i32Type = builder.getI32Type();
  sharedBase = LLVM::AddressOfOp::create(
      builder, loc, LLVM::LLVMPointerType::get(builder.getContext(), 3), "shared_memory");
  // Its range makes bounds that no thread passes constants.
  thread = NVVM::ThreadIdXOp::create(
      builder, loc, i32Type,
      LLVM::ConstantRangeAttr::get(builder.getContext(), 32, 0, static_cast<int32_t>(threads())));
  placeThread();
  for (BlockArgument argument : kernel.getArguments())
    if (Value scalar = frame.scalar(argument))
      scalars[argument] = scalar;
  if (failed(lowerBlock(kernel.front())))
    return failure();
  func::ReturnOp::create(builder, loc);
  frame.finish();
  func::FuncOp entry = frame.entry();
  return entry;
}

/// What a loop with products carries, and the two largest of a round that do not add to that: as
/// both are there before anything comes of them, s and dp of a backward, a thread has registers for
/// no less.
int64_t Lowering::sumsOfThread() const {
  int64_t most = 0;
  func::FuncOp(kernel).walk([&](scf::ForOp loop) {
    SmallVector<int64_t> products;
    loop.walk([&](tile::DotOp dot) {
      products.push_back(dot.getAcc() ? 0 : layoutOf(dot.getResult()).count());
    });
    if (products.empty())
      return;
    llvm::sort(products, std::greater<>());
    products.resize(2);
    int64_t sums = products[0] + products[1];
    for (Value carried : loop.getResults())
      sums += layoutOf(carried).count();
    most = std::max(most, sums);
  });
  return most;
}

/// Everything that follows from the thread's number.
void Lowering::placeThread() {
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
Value Lowering::threadAgain() {
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

/// Windows that products read are on their way before anything else of their block is computed.
LogicalResult Lowering::lowerBlock(Block &block) {
  SmallVector<Value> before = underWay, unseenBefore = unseen;
  llvm::DenseMap<Value, int64_t> namedBefore = namedRows;
  int64_t top = sharedTop;
  std::tuple place(thread, lane, warp, mWarp, nWarp, mBase, nBase); // a store may read them anew
  for (Operation &op : block.without_terminator())
    if (!op.getNumRegions() && !isa<tile::TileDialect>(op.getDialect()) &&
        llvm::none_of(op.getResults(), [](Value v) { return tile::isTile(v.getType()); })) {
      if (failed(lowerScalar(&op)))
        return failure();
    } else if (isa<tile::ProgramIdOp, tile::OwnIndexOp, tile::ExtentOp, tile::VisibilityOp,
                   tile::ElementOp, tile::SliceOp, tile::ShiftOp>(op) ||
               (isa<tile::RandomOp>(op) && !tile::isTile(op.getResult(0).getType()))) {
      if (!provided.contains(&op) && failed(lowerScalar(&op)))
        return failure();
    }
  bool first = true;
  for (auto load : block.getOps<tile::LoadOp>())
    if (goesToShared(load) && !provided.contains(load) && !load.getWhere() && !load.getRows()) {
      if (first && loopDepth > 0)
        barrier(); // what the round before read from here has been read
      first = false;
      if (failed(stage(load)))
        return failure();
    }
  for (Operation &op : block.without_terminator()) {
    loc = op.getLoc();
    if (failed(lower(&op)))
      return failure();
  }
  underWay = before;
  unseen = unseenBefore;
  namedRows = namedBefore;
  sharedTop = top;
  std::tie(thread, lane, warp, mWarp, nWarp, mBase, nBase) = place;
  return success();
}

LogicalResult Lowering::lower(Operation *op) {
  if (auto load = dyn_cast<tile::LoadOp>(op)) {
    if (goesToShared(load) && !shared.count(load.getResult())) {
      if (loopDepth > 0)
        barrier(); // what the round before read from here has been read
      if (failed(stage(load)))
        return failure();
    }
    return goesToRegisters(load) ? loadRegisters(load) : success();
  }
  if (auto store = dyn_cast<tile::StoreOp>(op))
    return lowerStore(store);
  if (auto dot = dyn_cast<tile::DotOp>(op))
    return lowerDot(dot);
  if (auto reduce = dyn_cast<tile::ReduceOp>(op))
    return lowerReduce(reduce);
  if (auto apply = dyn_cast<tile::ApplyOp>(op))
    return lowerApply(apply);
  if (auto all = dyn_cast<tile::AllOp>(op))
    return lowerAll(all);
  if (auto loop = dyn_cast<scf::ForOp>(op))
    return lowerFor(loop);
  if (auto choice = dyn_cast<scf::IndexSwitchOp>(op))
    return lowerSwitch(choice);
  if (auto branch = dyn_cast<scf::IfOp>(op)) {
    bool forLoads = branch.getNumResults() == 1 && rowsKeptBranch(branch.getResult(0));
    return forLoads ? success() : lowerIf(branch); // the loads see to it
  }
  if (auto resume = dyn_cast<tile::ResumeOp>(op))
    return lowerResume(resume);
  if (auto finish = dyn_cast<tile::FinishOp>(op))
    return lowerFinish(finish);
  if (op->getNumResults() == 1 && tile::isTile(op->getResult(0).getType())) {
    if (failed(lowerElementwise(op)))
      return failure();
    // Products look through transposes.
    bool shares = !isa<tile::TransposeOp>(op) && isReadFromShared(op->getResult(0));
    return shares ? share(op->getResult(0), op) : success();
  }
  if (op->getNumRegions())
    return op->emitOpError("has no lowering to a GPU");
  return success(); // scalars are done
}

LogicalResult Lowering::lowerScalar(Operation *op) {
  loc = op->getLoc();
  if (scalarCode.lower(op))
    return success();
  IRMapping mapping;
  for (Value operand : op->getOperands())
    mapping.map(operand, scalars.lookup(operand));
  Operation *made = builder.clone(*op, mapping);
  for (auto [from, to] : llvm::zip(op->getResults(), made->getResults()))
    mapping.map(from, to);
  scalarCode.expand(made, &mapping, op);
  for (Value result : op->getResults())
    scalars[result] = mapping.lookup(result);
  return success();
}

std::optional<Fragment> Lowering::fragmentOf(Value tile) {
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

FailureOr<Fragment> Lowering::whole(Value tile, Operation *user) {
  std::optional<Fragment> fragment = fragmentOf(tile);
  if (!fragment)
    return user->emitOpError("reads a tile that is not in registers");
  FragmentLayout own = layoutOf(tile);
  if (fragment->layout.kind == FragmentLayout::Kind::Matrix && own.mAxis != fragment->layout.mAxis)
    return user->emitOpError("needs a tile's axes the other way round, for which there is no "
                             "conversion between registers");
  return *fragment;
}

Fragment Lowering::expanded(const Fragment &fragment, const FragmentLayout &to) {
  Fragment made{to, {}};
  for (int64_t e = 0; e < to.count(); ++e)
    made.elements.push_back(
        fragment.elements[static_cast<size_t>(fragment.layout.at(to.mOf(e), to.nOf(e)))]);
  return made;
}

Value Lowering::mAt(int64_t index) { return add(mBase, i32(grid.mFurther(index))); }
Value Lowering::nAt(int64_t index) { return add(nBase, i32(grid.nFurther(index))); }

Value Lowering::intrinsic(Type type, StringRef name, ValueRange operands) {
  return LLVM::CallIntrinsicOp::create(builder, loc, type, builder.getStringAttr(name), operands)
      .getResult(0);
}
void Lowering::call(StringRef name, ValueRange operands) {
  LLVM::CallIntrinsicOp::create(builder, loc, builder.getStringAttr(name), operands);
}
/// ptxas unrolls short loops fourfold, those too that hardly ever run: a fifth of a kernel's
/// instructions. The attribute has the name that it has of a branch of the LLVM dialect, where it
/// ends up.
void Lowering::keepRolled(scf::ForOp loop) {
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
Value Lowering::add(Value a, Value b) {
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
Value Lowering::subtract(Value a, Value b) {
  auto [varyingA, constantA] = throughConstant(a);
  auto [varyingB, constantB] = throughConstant(b);
  Value varying = varyingA ? varyingA : i32(0);
  if (varyingB)
    varying = arith::SubIOp::create(builder, loc, varying, varyingB);
  return add(varying, i32(static_cast<int32_t>(constantA - constantB)));
}
Value Lowering::mul(Value a, int64_t b) {
  auto [varying, constant] = throughConstant(a);
  if (!varying)
    return i32(static_cast<int32_t>(constant * b));
  if (b != 1)
    varying = arith::MulIOp::create(builder, loc, varying, i32(b));
  return add(varying, i32(static_cast<int32_t>(constant * b)));
}
Value Lowering::zeroOf(Type type) {
  return arith::ConstantOp::create(builder, loc, builder.getZeroAttr(type));
}
Value Lowering::global(Value pointer) {
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
void Lowering::store(Value value, Value pointer) {
  LLVM::StoreOp::create(builder, loc, value, pointer, bytesOf(value.getType()));
}
Value Lowering::load(Type type, Value pointer) {
  return LLVM::LoadOp::create(builder, loc, type, pointer, bytesOf(type));
}
void Lowering::storeTogether(ArrayRef<Value> values, Value pointer) {
  if (values.size() == 1)
    return store(values.front(), pointer);
  Type type = VectorType::get({static_cast<int64_t>(values.size())}, values.front().getType());
  Value all = LLVM::UndefOp::create(builder, loc, type);
  for (auto [i, each] : llvm::enumerate(values))
    all = LLVM::InsertElementOp::create(builder, loc, all, each, i32(static_cast<int64_t>(i)));
  store(all, pointer);
}
SmallVector<Value> Lowering::loadTogether(Type type, int64_t count, Value pointer) {
  if (count == 1)
    return {load(type, pointer)};
  Value all = load(VectorType::get({count}, type), pointer);
  SmallVector<Value> values;
  for (int64_t i = 0; i < count; ++i)
    values.push_back(LLVM::ExtractElementOp::create(builder, loc, all, i32(i)));
  return values;
}
