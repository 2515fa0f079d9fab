#include "ringc/compiler/passes/gpu/Lowering.h"

#include "ringc/compiler/passes/gpu/Copies.h"
#include "ringc/compiler/passes/gpu/Elementwise.h"
#include "ringc/compiler/passes/gpu/Loads.h"
#include "ringc/compiler/passes/gpu/Masks.h"
#include "ringc/compiler/passes/gpu/Products.h"
#include "ringc/compiler/passes/gpu/Reductions.h"
#include "ringc/compiler/passes/gpu/Shares.h"
#include "ringc/compiler/passes/gpu/Stores.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/IR/IRMapping.h"

#include <functional>
#include <tuple>

using namespace mlir;
using namespace ringc;
using namespace ringc::gpu;

FailureOr<func::FuncOp> Lowering::run() {
  auto module = kernel->getParentOfType<ModuleOp>();
  {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(module.getBody());
    LLVM::GlobalOp::create(builder, loc, LLVM::LLVMArrayType::get(builder.getI8Type(), 0),
                           /*isConstant=*/false, LLVM::Linkage::External, "shared_memory",
                           Attribute(), SharedTile::lineBytes, /*addrSpace=*/3);
  }
  Type i32Type = builder.getI32Type();
  code.sharedBase = LLVM::AddressOfOp::create(
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
    loop.walk([&](block::ProductOp product) {
      products.push_back(product.getAcc() ? 0 : layoutOf(product.getResult()).count());
    });
    if (products.empty())
      return;
    llvm::sort(products, std::greater<>());
    products.resize(2);
    int64_t sums = products[0] + products[1];
    for (Value carried : loop.getResults())
      if (tile::isTile(carried.getType()))
        sums += layoutOf(carried).count();
    most = std::max(most, sums);
  });
  return most;
}

LogicalResult Lowering::lowerBlock(Block &block) {
  ThreadCode::Place before = code.place; // it may be read anew
  for (Operation &op : block.without_terminator()) {
    loc = op.getLoc();
    if (failed(lower(&op)))
      return failure();
  }
  code.place = before;
  return success();
}

LogicalResult Lowering::lower(Operation *op) {
  if (auto buffer = dyn_cast<block::BufferOp>(op))
    return place(buffer), success();
  if (auto stage = dyn_cast<block::StageOp>(op)) {
    SharedTile tile = shared.lookup(stage.getBuffer());
    tile.stage = scalars.lookup(stage.getBytes());
    shared[stage.getResult()] = tile;
    return success();
  }
  if (auto copy = dyn_cast<block::CopyOp>(op))
    return Copies(code).lower(copy), success();
  if (isa<block::CommitOp>(op))
    return call("llvm.nvvm.cp.async.commit.group", {}), success();
  if (auto ready = dyn_cast<block::ReadyOp>(op))
    return this->ready(ready), success();
  if (isa<block::BarrierOp>(op))
    return barrier(), success();
  if (isa<block::NoCopiesOp, block::ReleaseOp>(op))
    return success();
  if (isa<block::ThreadAgainOp>(op)) {
    thread = threadAgain();
    placeThread();
    return success();
  }
  if (auto rounds = dyn_cast<block::VisibleRoundsOp>(op))
    return lowerVisibleRounds(rounds);
  if (auto read = dyn_cast<block::ReadOp>(op))
    return Loads(code).lower(read), success();
  if (auto load = dyn_cast<tile::LoadOp>(op))
    return Loads(code).lower(load);
  if (auto load = dyn_cast<block::LoadOp>(op))
    return Loads(code).lower(load);
  if (auto store = dyn_cast<block::StoreOp>(op))
    return Stores(code).lower(store);
  if (auto store = dyn_cast<block::StoreSharedOp>(op))
    return Stores(code).lower(store), success();
  if (auto share = dyn_cast<block::ShareOp>(op))
    return Shares(code).lower(share);
  if (auto share = dyn_cast<block::ShareSeenOp>(op))
    return Shares(code).lower(share), success();
  if (auto product = dyn_cast<block::ProductOp>(op))
    return Products(code).lower(product);
  if (auto reduce = dyn_cast<tile::ReduceOp>(op))
    return Reductions(code).lower(reduce);
  if (auto reduce = dyn_cast<block::ReduceOp>(op))
    return Reductions(code).lower(reduce);
  if (auto collapse = dyn_cast<block::CollapseOp>(op))
    return Reductions(code).lower(collapse);
  if (auto apply = dyn_cast<tile::ApplyOp>(op))
    return Masks(code).lower(apply);
  if (auto all = dyn_cast<tile::AllOp>(op))
    return Reductions(code).lower(all);
  if (auto loop = dyn_cast<scf::ForOp>(op))
    return lowerFor(loop);
  if (auto choice = dyn_cast<scf::IndexSwitchOp>(op))
    return lowerSwitch(choice);
  if (auto branch = dyn_cast<scf::IfOp>(op))
    return lowerIf(branch);
  if (auto resume = dyn_cast<tile::ResumeOp>(op))
    return lowerResume(resume);
  if (auto finish = dyn_cast<tile::FinishOp>(op))
    return lowerFinish(finish);
  if (op->getNumResults() == 1 && tile::isTile(op->getResult(0).getType()))
    return Elementwise(code).lower(op);
  if (op->getNumRegions())
    return op->emitOpError("has no lowering to a GPU");
  return lowerScalar(op);
}

LogicalResult Lowering::lowerScalar(Operation *op) {
  loc = op->getLoc();
  if (code.scalarCode.lower(op))
    return success();
  IRMapping mapping;
  for (Value operand : op->getOperands())
    mapping.map(operand, scalars.lookup(operand));
  Operation *made = builder.clone(*op, mapping);
  for (auto [from, to] : llvm::zip(op->getResults(), made->getResults()))
    mapping.map(from, to);
  code.scalarCode.expand(made, &mapping, op);
  for (Value result : op->getResults())
    scalars[result] = mapping.lookup(result);
  return success();
}

/// Groups of copies arrive in order.
void Lowering::ready(block::ReadyOp op) {
  OpBuilder::InsertionGuard guard(builder);
  if (Value condition = op.getCondition()) {
    auto branch =
        scf::IfOp::create(builder, loc, scalars.lookup(condition), /*withElseRegion=*/false);
    builder.setInsertionPointToStart(branch.thenBlock());
  }
  call("llvm.nvvm.cp.async.wait.group", {i32(static_cast<int64_t>(op.getBehind()))});
  barrier();
}

void Lowering::place(block::BufferOp op) {
  int64_t offset = static_cast<int64_t>(*op.getAt());
  for (Value buffer : op.getBuffers()) {
    if (auto type = dyn_cast<block::BufferType>(buffer.getType())) {
      SharedTile &tile = shared[buffer] = block::placeOf(type);
      tile.offset = offset;
    } else {
      words[buffer] = offset;
    }
    offset += static_cast<int64_t>(llvm::alignTo(
        static_cast<uint64_t>(block::bytesOf(buffer.getType())), SharedTile::lineBytes));
  }
}
