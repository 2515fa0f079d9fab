#include "ringc/compiler/passes/CodeSize.h"

#include "ringc/compiler/dialect/Tile.h"
#include "ringc/compiler/spec/Target.h"
#include "ringc/compiler/spec/TileConfig.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

#include <algorithm>

using namespace mlir;

namespace ringc {

namespace {

/// One operation on numbers, in units. A GPU's are times of ptxas, beside that of an addition; a
/// CPU's the lengths of polynomials.
struct Weights {
  int64_t tanh, exp2, log2, sqrt, divideFloats, divideIntegers, element;
  int64_t exp, log, erf, sine, random; ///< ElementFunctions.h
};
constexpr Weights ofGpu = {14, 2, 4, 20, 7, 30, 8, 34, 50, 63, 60, 80};
constexpr Weights ofCpu = {30, 14, 30, 4, 4, 24, 8, 22, 32, 40, 130, 80};

class Measure {
public:
  Measure(ModuleOp ofModule, const Target &target, const TileConfig &config)
      : module(ofModule), isGpu(target.isGpu()), weights(isGpu ? ofGpu : ofCpu),
        width(target.vectorFloats()), threads(32 * config.warps) {}

  CodeSize run() {
    for (auto function : module.getOps<func::FuncOp>())
      if (!function.isPrivate())
        function.walk([&](Operation *op) { add(op, timesOf(op)); });
    return std::move(size);
  }

private:
  /// How often the operation stands in the code.
  int64_t timesOf(Operation *op) const {
    auto tile = op->getNumResults() ? dyn_cast<RankedTensorType>(op->getResult(0).getType())
                                    : RankedTensorType();
    for (Value operand : op->getOperands())
      if (auto type = dyn_cast<RankedTensorType>(operand.getType());
          type && (!tile || type.getNumElements() > tile.getNumElements()))
        tile = type;
    if (!tile)
      return 1;
    int64_t elements = tile.getNumElements();
    if (isGpu)
      return llvm::divideCeil(elements, threads);
    constexpr int64_t vectorsOfNest = 4, rowsOfNest = 2;
    return std::min<int64_t>(llvm::divideCeil(elements, width), vectorsOfNest * rowsOfNest);
  }

  int64_t weightOf(Operation *op) const {
    return llvm::TypeSwitch<Operation *, int64_t>(op)
        .Case<math::TanhOp>([&](auto) { return weights.tanh; })
        .Case<math::Exp2Op>([&](auto) { return weights.exp2; })
        .Case<math::Log2Op>([&](auto) { return weights.log2; })
        .Case<math::SqrtOp>([&](auto) { return weights.sqrt; })
        .Case<math::ExpOp>([&](auto) { return weights.exp; })
        .Case<math::LogOp>([&](auto) { return weights.log; })
        .Case<math::ErfOp>([&](auto) { return weights.erf; })
        .Case<math::SinOp, math::CosOp>([&](auto) { return weights.sine; })
        .Case<tile::RandomOp>([&](auto) { return weights.random; })
        .Case<arith::DivFOp>([&](auto) { return weights.divideFloats; })
        .Case<arith::FloorDivSIOp, arith::DivSIOp, arith::RemSIOp>(
            [&](auto) { return weights.divideIntegers; })
        .Case<tile::ElementOp>([&](auto) { return weights.element; })
        .Case<tile::DotOp>([&](tile::DotOp dot) { return weightOfProduct(dot); })
        .Case<arith::ConstantOp, tile::SplatOp, tile::BroadcastOp>([](auto) { return 0; })
        .Default([](Operation *) { return 1; });
  }

  /// Of each of the thread's largest operand or result.
  int64_t weightOfProduct(tile::DotOp dot) const {
    if (!isGpu) // loops around a block of registers
      return 4;
    constexpr int64_t depthOfInstruction = 8;
    int64_t depth = cast<RankedTensorType>(dot.getA().getType()).getDimSize(1);
    return std::max<int64_t>(1, depth / depthOfInstruction / 4);
  }

  void add(Operation *op, int64_t times) {
    FlatSymbolRefAttr callee;
    if (auto apply = dyn_cast<tile::ApplyOp>(op))
      callee = apply.getFunctionAttr();
    else if (auto visibility = dyn_cast<tile::VisibilityOp>(op))
      callee = visibility.getFunctionAttr();
    if (callee) {
      if (auto function = module.lookupSymbol<func::FuncOp>(callee))
        function.walk([&](Operation *inner) { addAt(inner, times * weightOf(inner)); });
      return;
    }
    addAt(op, times * weightOf(op));
  }

  void addAt(Operation *op, int64_t units) {
    size.total += units;
    if (auto place = dyn_cast<FileLineColLoc>(op->getLoc()); place && units)
      size.ofLines[{place.getFilename().str(), place.getLine()}] += units;
  }

  ModuleOp module;
  bool isGpu;
  Weights weights;
  int64_t width, threads;
  CodeSize size;
};

} // namespace

/// ptxas takes 1 to 4 s for that many, and four times as long for twice as many; LLVM takes 1 s,
/// and 3 s where bf16 is written in pairs of rows.
int64_t CodeSize::limit(const Target &target) { return target.isGpu() ? 12000 : 40000; }

CodeSize codeSizeOf(ModuleOp module, const Target &target, const TileConfig &config) {
  return Measure(module, target, config).run();
}

} // namespace ringc
