#include "ringc/compiler/passes/gpu/Products.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/Matchers.h"

#include <array>

using namespace mlir;
using namespace ringc;
using namespace ringc::gpu;

LogicalResult Products::lower(block::ProductOp op) {
  FragmentLayout layout = layoutOf(op.getResult());
  Fragment sums{layout, {}};
  if (op.getAcc()) {
    FailureOr<Fragment> start = whole(op.getAcc(), op);
    if (failed(start))
      return failure();
    sums = expanded(*start, layout);
  } else {
    sums.elements.assign(static_cast<size_t>(layout.count()), zeroOf(builder.getF32Type()));
  }
  std::optional<Fragment> computed;
  if (Value tile = op.getTile()) {
    FailureOr<Fragment> given = whole(tile, op);
    if (failed(given))
      return failure();
    computed = expanded(*given, layoutOf(tile));
  }
  if (op.getRight().getType().getElementType().isF32())
    multiplyF32(op, computed, sums);
  else
    multiply16(op, computed, sums);
  fragments[op.getResult()] = sums;
  return success();
}

/// How many numbers a product sums over for each of its own.
static int64_t depthOf(block::ProductOp op) {
  if (Value tile = op.getTile())
    return cast<RankedTensorType>(tile.getType()).getDimSize(static_cast<unsigned>(op.getLeftK()));
  SharedTile left = block::placeOf(op.getLeft().getType());
  return static_cast<int64_t>(op.getLeftK()) == left.rowAxis ? left.rows : left.columns;
}

/// ldmatrix of four 8x8 blocks, with this thread's address.
SmallVector<Value> Products::matrices(const SharedTile &tile, SharedCoordinate row,
                                      SharedCoordinate column, bool transposed) {
  Type word = builder.getI32Type();
  Type four = LLVM::LLVMStructType::getLiteral(builder.getContext(), {word, word, word, word});
  Value loaded = intrinsic(four,
                           transposed ? "llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.trans.b16"
                                      : "llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.b16",
                           {placeIn(tile, row, column)});
  SmallVector<Value> blocks;
  for (int64_t i = 0; i < 4; ++i)
    blocks.push_back(LLVM::ExtractValueOp::create(builder, loc, loaded, i));
  return blocks;
}

/// Sixteen of what a product sums over at a time. Of a computed left operand a warp in a grid of
/// several columns has those of its own column in registers, and begins with them.
SmallVector<Products::ProductStep> Products::productSteps(int64_t depth, bool computed) {
  SmallVector<ProductStep> steps;
  if (grid.n == 1 || !computed || depth % grid.nTurn() != 0) {
    for (int64_t step = 0; step * 16 < depth; ++step)
      steps.push_back(
          {{}, step * 16, computed && grid.n == 1 ? std::optional(step) : std::nullopt});
    return steps;
  }
  for (int64_t other = 0; other < grid.n; ++other) {
    Value column = nWarp;
    if (other > 0)
      column = arith::RemUIOp::create(builder, loc, add(nWarp, i32(other)), i32(grid.n));
    for (int64_t turn = 0; turn < depth / grid.nTurn(); ++turn)
      steps.push_back(
          {mul(column, 16), turn * grid.nTurn(), other == 0 ? std::optional(turn) : std::nullopt});
  }
  return steps;
}

void Products::multiply16(block::ProductOp op, const std::optional<Fragment> &computed,
                          Fragment &sums) {
  const FragmentLayout &layout = sums.layout;
  bool bf16 = op.getRight().getType().getElementType().isBF16();
  SharedTile leftTile = shared.lookup(op.getLeft()), rightTile = shared.lookup(op.getRight());
  bool contractsColumns = static_cast<int>(op.getRightK()) != rightTile.rowAxis;
  int leftM = 1 - static_cast<int>(op.getLeftK());
  auto bits = [&](int mask, int shift) -> Value {
    Value value = arith::AndIOp::create(builder, loc, lane, i32(mask));
    return shift ? arith::ShRUIOp::create(builder, loc, value, i32(shift)).getResult() : value;
  };
  Value low = bits(7, 0), middle = bits(8, 0), high = mul(bits(16, 4), 8);
  auto ofWarp = [&](Value n) { return grid.n == 1 ? n : add(mul(nWarp, 16), n); };
  Type f32 = builder.getF32Type();
  Type four = LLVM::LLVMStructType::getLiteral(builder.getContext(), {f32, f32, f32, f32});
  Type half = VectorType::get({2}, builder.getF16Type());
  auto operandWord = [&](Value word) -> Value {
    return bf16 ? word : LLVM::BitcastOp::create(builder, loc, half, word).getResult();
  };
  for (const ProductStep &step : productSteps(depthOf(op), computed.has_value())) {
    int64_t kBits = bitsOf(8, step.warp ? grid.n : 1);
    auto alongK = [&](Value first) { return step.warp ? add(step.warp, first) : first; };
    SmallVector<SmallVector<Value>> leftWords;
    for (int64_t i = 0; i < layout.mBlocks; ++i) {
      SmallVector<Value> registers;
      if (step.inRegisters) {
        for (auto [j, e] : {std::pair<int64_t, int64_t>{0, 0}, {0, 2}, {1, 0}, {1, 2}}) {
          auto at = [&](int64_t element) {
            return computed->elements[static_cast<size_t>(
                computed->layout.index(i, 2 * *step.inRegisters + j, element))];
          };
          registers.push_back(pack(at(e), at(e + 1)));
        }
      } else {
        Value first = mul(mWarp, 16);
        SharedCoordinate k{alongK(high), step.further, kBits};
        SharedCoordinate m{add(first, add(low, middle)), i * grid.mTurn()};
        if (leftM == leftTile.rowAxis)
          registers = matrices(leftTile, m, k, false);
        else
          registers = matrices(leftTile, {alongK(add(low, high)), step.further},
                               {add(first, middle), i * grid.mTurn(), bitsOf(8, grid.m)}, true);
      }
      leftWords.push_back(registers);
    }
    for (int64_t j = 0; j < layout.nBlocks; j += 2) {
      int64_t n = j / 2 * grid.nTurn();
      // Rows of the tile are n where its columns are contracted.
      SmallVector<Value> registers =
          contractsColumns ? matrices(rightTile, {ofWarp(add(low, high)), n},
                                      {alongK(middle), step.further, kBits}, false)
                           : matrices(rightTile, {alongK(add(low, middle)), step.further},
                                      {ofWarp(high), n, bitsOf(8, grid.n)}, true);
      for (int64_t i = 0; i < layout.mBlocks; ++i)
        for (int64_t side : {0, 1}) {
          SmallVector<Value> operands;
          for (Value word : leftWords[static_cast<size_t>(i)])
            operands.push_back(operandWord(word));
          operands.push_back(operandWord(registers[static_cast<size_t>(2 * side)]));
          operands.push_back(operandWord(registers[static_cast<size_t>(2 * side + 1)]));
          size_t first = static_cast<size_t>(layout.index(i, j + side, 0));
          for (size_t e = 0; e < 4; ++e)
            operands.push_back(sums.elements[first + e]);
          Value result = intrinsic(four,
                                   bf16 ? "llvm.nvvm.mma.m16n8k16.row.col.bf16"
                                        : "llvm.nvvm.mma.m16n8k16.row.col.f32.f32",
                                   operands);
          for (int64_t e = 0; e < 4; ++e)
            sums.elements[first + static_cast<size_t>(e)] =
                LLVM::ExtractValueOp::create(builder, loc, result, e);
        }
    }
  }
}

/// Three products of TF32 for one of f32: x = big + small, each with 10 bits behind the point, and
/// small * small is left out; or one, of x rounded, where the kernel asks for it. The order of the
/// contracted axis is free, so that a thread's two neighbouring elements stand for k and k + 4 of
/// the instruction.
void Products::multiplyF32(block::ProductOp op, const std::optional<Fragment> &computed,
                           Fragment &sums) {
  const FragmentLayout &layout = sums.layout;
  Type f32 = builder.getF32Type(), word = builder.getI32Type();
  int64_t steps = llvm::divideCeil(depthOf(op), 16) * 2;
  SharedTile leftTile = shared.lookup(op.getLeft()), rightTile = shared.lookup(op.getRight());
  bool contractsColumns = static_cast<int>(op.getRightK()) != rightTile.rowAxis;
  bool once = kernel->hasAttr(tile::TileDialect::tf32Attr);
  // Both operands in shared memory are singleMatrices in a loop: unrolled, the products of a
  // backward keep ptxas busy for a second. Some sixty at once hide the latency of a load.
  int64_t together = computed ? steps : 1;
  while (together < 4 && steps % (2 * together) == 0 &&
         together * layout.mBlocks * layout.nBlocks * (once ? 1 : 3) < 64)
    together *= 2;
  Value ownN = arith::ShRUIOp::create(builder, loc, lane, i32(2));
  if (grid.n > 1)
    ownN = add(mul(nWarp, 16), ownN);
  SharedCoordinate ownK{mul(arith::AndIOp::create(builder, loc, lane, i32(3)), 2), 0, 6};
  // Two neighbours along k, further by constants than the thread's first.
  auto pair = [&](const SharedTile &tile, SharedCoordinate outer, int64_t kFurther,
                  bool kIsColumn) -> std::array<Value, 2> {
    auto at = [&](int64_t further) { return SharedCoordinate{ownK.first, further, ownK.bits}; };
    if (!kIsColumn)
      return {load(f32, placeIn(tile, at(kFurther), outer)),
              load(f32, placeIn(tile, at(kFurther + 1), outer))};
    Value both = LLVM::LoadOp::create(builder, loc, VectorType::get({2}, f32),
                                      placeIn(tile, outer, at(kFurther)), /*alignment=*/8);
    return {LLVM::ExtractElementOp::create(builder, loc, both, i32(0)),
            LLVM::ExtractElementOp::create(builder, loc, both, i32(1))};
  };
  struct Split {
    Value big, small; ///< without `small` where one product is asked for
  };
  auto split = [&](Value x) {
    if (once)
      return Split{intrinsic(word, "llvm.nvvm.f2tf32.rna", {x}), {}};
    Value bits = LLVM::BitcastOp::create(builder, loc, word, x);
    Value big = arith::AndIOp::create(builder, loc, bits, i32(-8192)); // 13 bits less
    Value rest =
        arith::SubFOp::create(builder, loc, x, LLVM::BitcastOp::create(builder, loc, f32, big));
    return Split{big, LLVM::BitcastOp::create(builder, loc, word, rest)};
  };
  Type four = LLVM::LLVMStructType::getLiteral(builder.getContext(), {f32, f32, f32, f32});
  auto multiplyStep = [&](int64_t step) {
    SmallVector<std::array<Split, 4>> leftParts;
    for (int64_t i = 0; i < layout.mBlocks; ++i) {
      std::array<Split, 4> parts;
      for (int64_t h : {0, 1}) {
        std::array<Value, 2> both;
        if (computed)
          for (int64_t k : {0, 1})
            both[static_cast<size_t>(k)] =
                computed->elements[static_cast<size_t>(computed->layout.index(i, step, h * 2 + k))];
        else
          both = pair(leftTile, {mBase, i * grid.mTurn() + h * 8, bitsOf(7, grid.m)}, step * 8,
                      static_cast<int>(op.getLeftK()) != leftTile.rowAxis);
        for (int64_t k : {0, 1})
          parts[static_cast<size_t>(k * 2 + h)] = split(both[static_cast<size_t>(k)]);
      }
      leftParts.push_back(parts);
    }
    for (int64_t j = 0; j < layout.nBlocks; ++j) {
      SmallVector<Split> parts;
      SharedCoordinate n{ownN, j / 2 * grid.nTurn() + j % 2 * 8, bitsOf(7, grid.n)};
      for (Value each : pair(rightTile, n, step * 8, contractsColumns))
        parts.push_back(split(each));
      for (int64_t i = 0; i < layout.mBlocks; ++i) {
        size_t first = static_cast<size_t>(layout.index(i, j, 0));
        std::array<std::pair<bool, bool>, 3> products = {
            {{false, true}, {true, false}, {true, true}}};
        for (auto [bigLeft, bigRight] : ArrayRef(products).drop_front(once ? 2 : 0)) {
          SmallVector<Value> operands;
          for (const Split &part : leftParts[static_cast<size_t>(i)])
            operands.push_back(bigLeft ? part.big : part.small);
          for (const Split &part : parts)
            operands.push_back(bigRight ? part.big : part.small);
          for (size_t e = 0; e < 4; ++e)
            operands.push_back(sums.elements[first + e]);
          Value result = intrinsic(four, "llvm.nvvm.mma.m16n8k8.row.col.tf32", operands);
          for (int64_t e = 0; e < 4; ++e)
            sums.elements[first + static_cast<size_t>(e)] =
                LLVM::ExtractValueOp::create(builder, loc, result, e);
        }
      }
    }
  };
  scf::ForOp loop;
  OpBuilder::InsertionGuard guard(builder);
  if (together < steps) {
    loop =
        scf::ForOp::create(builder, loc, i32(0), i32(steps * 8), i32(together * 8), sums.elements);
    keepRolled(loop);
    builder.setInsertionPointToStart(loop.getBody());
    ownK.first = add(ownK.first, loop.getInductionVar());
    ownK.bits |= -8 * together;
    sums.elements.assign(loop.getRegionIterArgs().begin(), loop.getRegionIterArgs().end());
  }
  for (int64_t step = 0; step < together; ++step)
    multiplyStep(step);
  if (loop) {
    scf::YieldOp::create(builder, loc, sums.elements);
    sums.elements.assign(loop.getResults().begin(), loop.getResults().end());
  }
}
