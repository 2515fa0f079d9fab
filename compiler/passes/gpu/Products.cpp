#include "compiler/passes/gpu/Lowering.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

#include <array>
#include <numeric>

using namespace mlir;
using namespace ringc;
using namespace ringc::gpu;
using Kind = FragmentLayout::Kind;

static Type elementOf(Value value) { return getElementTypeOrSelf(value.getType()); }

LogicalResult Lowering::lowerDot(tile::DotOp dot) {
  FragmentLayout layout = layoutOf(dot.getResult());
  if (layout.kind != Kind::Matrix)
    return dot.emitOpError("of a single row or column has no lowering to a GPU");
  Fragment sums{layout, {}};
  if (dot.getAcc()) {
    FailureOr<Fragment> start = whole(dot.getAcc(), dot);
    if (failed(start))
      return failure();
    sums = expanded(*start, layout);
  } else {
    sums.elements.assign(static_cast<size_t>(layout.count()), zeroOf(builder.getF32Type()));
  }
  // result[m, n] = left[m, k] right[k, n]; where m is the columns of the result, its transpose.
  bool straight = layout.mAxis == 0;
  auto operandOf = [&](Value tile, int mAxis) {
    auto [behind, swapped] = throughTransposes(tile);
    int axis = swapped ? 1 - mAxis : mAxis;
    return Operand{behind, axis, 1 - axis};
  };
  Operand a = operandOf(dot.getA(), 0), b = operandOf(dot.getB(), 1);
  Operand left = straight ? a : b, right = straight ? b : a;
  // What is not made here is shared for this product alone: a constant, a tile of a loop.
  bool lent = !shared.count(right.tile);
  int64_t top = sharedTop;
  if (lent && failed(share(right.tile, dot)))
    return failure();
  waitFor({left.tile, right.tile});
  if (llvm::is_contained(unseen, right.tile))
    barrier();
  LogicalResult done = elementOf(dot.getA()).isF32() ? multiplyF32(dot, left, right, sums)
                                                     : multiply16(dot, left, right, sums);
  if (lent) {
    shared.erase(right.tile);
    sharedTop = top;
    settled = false;
  }
  fragments[dot.getResult()] = sums;
  return done;
}

/// Two 16-bit numbers in one register, rounded from f32 where they were cast.
Value Lowering::pack(Value low, Value high) {
  auto lowCast = low.getDefiningOp<arith::TruncFOp>(),
       highCast = high.getDefiningOp<arith::TruncFOp>();
  Type pair = VectorType::get({2}, low.getType());
  Value both;
  if (lowCast && highCast && lowCast.getIn().getType().isF32() &&
      highCast.getIn().getType().isF32()) {
    StringRef name = low.getType().isBF16() ? "llvm.nvvm.ff2bf16x2.rn" : "llvm.nvvm.ff2f16x2.rn";
    both = intrinsic(pair, name, {highCast.getIn(), lowCast.getIn()});
  } else {
    both = LLVM::UndefOp::create(builder, loc, pair);
    both = LLVM::InsertElementOp::create(builder, loc, both, low, i32(0));
    both = LLVM::InsertElementOp::create(builder, loc, both, high, i32(1));
  }
  return LLVM::BitcastOp::create(builder, loc, builder.getI32Type(), both);
}

/// ldmatrix of four 8x8 blocks; this thread's address is (rowBase + row, columnBase + column).
SmallVector<Value> Lowering::matrices(const SharedTile &tile, Value rowBase, Value columnBase,
                                      int64_t row, int64_t column, bool transposed) {
  Value mine = add(mul(rowBase, tile.rowBytes()), mul(columnBase, tile.elementBytes));
  if (tile.stage)
    mine = add(mine, tile.stage);
  int64_t further = tile.offset + row * tile.rowBytes() + column * tile.elementBytes;
  Type word = builder.getI32Type();
  Type four = LLVM::LLVMStructType::getLiteral(builder.getContext(), {word, word, word, word});
  Value loaded = intrinsic(four,
                           transposed ? "llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.trans.b16"
                                      : "llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.b16",
                           {sharedPointer(mine, further)});
  SmallVector<Value> words;
  for (int64_t i = 0; i < 4; ++i)
    words.push_back(LLVM::ExtractValueOp::create(builder, loc, loaded, i));
  return words;
}

LogicalResult Lowering::multiply16(tile::DotOp dot, const Operand &left, const Operand &right,
                                   Fragment &sums) {
  const FragmentLayout &layout = sums.layout;
  int64_t depth = cast<RankedTensorType>(left.tile.getType()).getDimSize(left.kAxis);
  int64_t steps = llvm::divideCeil(depth, 16);
  bool bf16 = elementOf(left.tile).isBF16();
  SharedTile rightTile = shared.lookup(right.tile);
  bool contractsColumns = right.kAxis != rightTile.rowAxis;
  std::optional<Fragment> computed;
  if (!left.tile.getDefiningOp<tile::LoadOp>()) {
    FailureOr<Fragment> given = whole(left.tile, dot);
    if (failed(given))
      return failure();
    computed = expanded(*given, layoutOf(left.tile));
    if (computed->layout.kind != Kind::Matrix || computed->layout.mAxis != left.mAxis)
      return dot.emitOpError("needs its left operand the other way round");
  }
  auto bits = [&](int mask, int shift) -> Value {
    Value value = arith::AndIOp::create(builder, loc, lane, i32(mask));
    return shift ? arith::ShRUIOp::create(builder, loc, value, i32(shift)).getResult() : value;
  };
  Value low = bits(7, 0), middle = bits(8, 0), high = mul(bits(16, 4), 8);
  Type f32 = builder.getF32Type();
  Type four = LLVM::LLVMStructType::getLiteral(builder.getContext(), {f32, f32, f32, f32});
  Type half = VectorType::get({2}, builder.getF16Type());
  auto operandWord = [&](Value word) -> Value {
    return bf16 ? word : LLVM::BitcastOp::create(builder, loc, half, word).getResult();
  };
  for (int64_t step = 0; step < steps; ++step) {
    SmallVector<SmallVector<Value>> leftWords;
    for (int64_t i = 0; i < layout.mBlocks; ++i) {
      SmallVector<Value> words;
      if (computed) {
        for (auto [j, e] : {std::pair<int64_t, int64_t>{0, 0}, {0, 2}, {1, 0}, {1, 2}}) {
          auto at = [&](int64_t element) {
            return computed
                ->elements[static_cast<size_t>(computed->layout.index(i, 2 * step + j, element))];
          };
          words.push_back(pack(at(e), at(e + 1)));
        }
      } else {
        SharedTile tile = shared.lookup(left.tile);
        Value m = add(mul(warp, 16), add(low, middle));
        words = left.mAxis == 0 ? matrices(tile, m, high, i * warps * 16, step * 16, false)
                                : matrices(tile, add(low, high), add(mul(warp, 16), middle),
                                           step * 16, i * warps * 16, true);
      }
      leftWords.push_back(words);
    }
    for (int64_t j = 0; j < layout.nBlocks; j += 2) {
      // Rows of the tile are n where its columns are contracted.
      SmallVector<Value> words =
          contractsColumns ? matrices(rightTile, add(low, high), middle, j * 8, step * 16, false)
                           : matrices(rightTile, add(low, middle), high, step * 16, j * 8, true);
      for (int64_t i = 0; i < layout.mBlocks; ++i)
        for (int64_t n : {0, 1}) {
          SmallVector<Value> operands;
          for (Value word : leftWords[static_cast<size_t>(i)])
            operands.push_back(operandWord(word));
          operands.push_back(operandWord(words[static_cast<size_t>(2 * n)]));
          operands.push_back(operandWord(words[static_cast<size_t>(2 * n + 1)]));
          size_t first = static_cast<size_t>(layout.index(i, j + n, 0));
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
  return success();
}

/// Three products of TF32 for one of f32: x = big + small, each with 10 bits behind the point, and
/// small * small is left out; or one, of x rounded, where the kernel asks for it. The order of the
/// contracted axis is free, so that a thread's two neighbouring elements stand for k and k + 4 of
/// the instruction.
LogicalResult Lowering::multiplyF32(tile::DotOp dot, const Operand &left, const Operand &right,
                                    Fragment &sums) {
  const FragmentLayout &layout = sums.layout;
  Type f32 = builder.getF32Type(), word = builder.getI32Type();
  int64_t depth = cast<RankedTensorType>(left.tile.getType()).getDimSize(left.kAxis);
  int64_t steps = llvm::divideCeil(depth, 16) * 2;
  SharedTile rightTile = shared.lookup(right.tile);
  bool contractsColumns = right.kAxis != rightTile.rowAxis;
  std::optional<Fragment> computed;
  if (!left.tile.getDefiningOp<tile::LoadOp>()) {
    FailureOr<Fragment> given = whole(left.tile, dot);
    if (failed(given))
      return failure();
    computed = expanded(*given, layoutOf(left.tile));
    if (computed->layout.kind != Kind::Matrix || computed->layout.mAxis != left.mAxis)
      return dot.emitOpError("needs its left operand the other way round");
  }
  Value quad = arith::ShRUIOp::create(builder, loc, lane, i32(2));
  // Two neighbours along k, further by constants than the thread's first, and by `kFrom`.
  Value kFrom = i32(0);
  auto pair = [&](const SharedTile &tile, Value outer, int64_t outerFurther, int64_t kFurther,
                  bool kIsColumn) -> std::array<Value, 2> {
    Value k = add(nBase, kFrom);
    Value row = kIsColumn ? outer : k, column = kIsColumn ? k : outer;
    Value at = add(mul(row, tile.rowBytes()), mul(column, 4));
    if (tile.stage)
      at = add(at, tile.stage);
    int64_t rows = kIsColumn ? outerFurther : kFurther;
    int64_t columns = kIsColumn ? kFurther : outerFurther;
    int64_t further = tile.offset + rows * tile.rowBytes() + columns * 4;
    if (!kIsColumn)
      return {load(f32, sharedPointer(at, further)),
              load(f32, sharedPointer(at, further + tile.rowBytes()))};
    Value both = LLVM::LoadOp::create(builder, loc, VectorType::get({2}, f32),
                                      sharedPointer(at, further), /*alignment=*/8);
    return {LLVM::ExtractElementOp::create(builder, loc, both, i32(0)),
            LLVM::ExtractElementOp::create(builder, loc, both, i32(1))};
  };
  struct Split {
    Value big, small; ///< without `small` where one product is asked for
  };
  bool once = kernel->hasAttr(tile::TileDialect::tf32Attr);
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
          both = pair(shared.lookup(left.tile), mBase, i * warps * 16 + h * 8, step * 8,
                      left.kAxis == 1);
        for (int64_t k : {0, 1})
          parts[static_cast<size_t>(k * 2 + h)] = split(both[static_cast<size_t>(k)]);
      }
      leftParts.push_back(parts);
    }
    for (int64_t j = 0; j < layout.nBlocks; ++j) {
      SmallVector<Split> parts;
      for (Value each : pair(rightTile, quad, j * 8, step * 8, contractsColumns))
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
  // Both operands in shared memory are multiplied in a loop: unrolled, the products of a backward
  // keep ptxas busy for a second. Four steps have some hundred instructions to hide latency behind.
  int64_t together = computed ? steps : std::gcd(steps, int64_t{4});
  scf::ForOp loop;
  OpBuilder::InsertionGuard guard(builder);
  if (together < steps) {
    loop =
        scf::ForOp::create(builder, loc, i32(0), i32(steps * 8), i32(together * 8), sums.elements);
    keepRolled(loop);
    builder.setInsertionPointToStart(loop.getBody());
    kFrom = loop.getInductionVar();
    sums.elements.assign(loop.getRegionIterArgs().begin(), loop.getRegionIterArgs().end());
  }
  for (int64_t step = 0; step < together; ++step)
    multiplyStep(step);
  if (loop) {
    scf::YieldOp::create(builder, loc, sums.elements);
    sums.elements.assign(loop.getResults().begin(), loop.getResults().end());
  }
  return success();
}
