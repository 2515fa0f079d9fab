// choose-products: each product of 16-bit tiles gets the form that it is made in on a host.
//
//   before  %s = tile.dot %a, %b : tensor<64x64xbf16>, tensor<64x64xbf16> -> tensor<64x64xf32>
//   after   %s = tile.dot %a, %b {tile.form = "pairs"} : ...
//   assumes one kernel in the module; what split-loops and take-shortcuts leave.
//
// Elements lie in memory as the forms of a kernel's products read them: as f32 where its products
// of a type are widened, as they are where none is. So beside tiles the others are pairs, and where
// there are no pairs one that is widened widens all.

#include "ringc/compiler/passes/cpu/ProductForms.h"

#include "ringc/compiler/passes/KernelInterface.h"
#include "ringc/compiler/passes/Passes.h"
#include "ringc/compiler/passes/cpu/LaneAnalysis.h"
#include "ringc/compiler/passes/cpu/Lowering.h"

using namespace mlir;

namespace ringc {

#define GEN_PASS_DEF_CHOOSEPRODUCTS
#include "ringc/compiler/passes/Passes.h.inc"

ProductForm cpu::formOf(tile::DotOp dot) {
  auto named = dot->getAttrOfType<StringAttr>(formAttr);
  for (const auto &[form, name] : EnumNames<ProductForm>::table)
    if (named && named.getValue() == llvm::StringRef(name))
      return form;
  return ProductForm::Widened;
}

namespace {

ElementType elementOf(tile::DotOp dot) {
  Type element = cast<RankedTensorType>(dot.getA().getType()).getElementType();
  return element.isBF16()  ? ElementType::BF16
         : element.isF16() ? ElementType::F16
                           : ElementType::F32;
}

ProductShape shapeOf(tile::DotOp dot, const cpu::LaneAnalysis &lanes) {
  auto result = cast<RankedTensorType>(dot.getResult().getType());
  int lanesAxis = lanes.laneAxis(dot.getResult());
  auto isWindow = [](Value factor) {
    return cpu::throughTransposes(factor).first.getDefiningOp<tile::LoadOp>() != nullptr;
  };
  return {.rows = result.getDimSize(1 - lanesAxis),
          .lanes = result.getDimSize(lanesAxis),
          .terms = cast<RankedTensorType>(dot.getA().getType()).getDimSize(1),
          .ofWindows = isWindow(dot.getA()) && isWindow(dot.getB())};
}

struct ChooseProducts : impl::ChooseProductsBase<ChooseProducts> {
  using ChooseProductsBase::ChooseProductsBase;

  void runOnOperation() override {
    func::FuncOp kernel = kernelOf(getOperation());
    if (!kernel) {
      getOperation().emitError("no function has the attribute tile.kernel");
      return signalPassFailure();
    }
    Target target;
    target.vectorBytes = vectorBytes;
    target.hasBf16Dot = bf16Dot;
    target.pairSpeed = pairSpeed;
    target.hasBf16Tiles = bf16Tiles;
    target.hasF16Tiles = f16Tiles;
    target.tileSpeed = tileSpeed;
    cpu::LaneAnalysis lanes(kernel, cpu::LaneAnalysis::Constants::Identify, target.vectorFloats());
    for (ElementType element : {ElementType::BF16, ElementType::F16}) {
      SmallVector<std::pair<tile::DotOp, ProductForm>> products;
      kernel.walk([&](tile::DotOp dot) {
        if (elementOf(dot) == element)
          products.push_back({dot, formOf(target, element, shapeOf(dot, lanes), microDepth)});
      });
      auto has = [&](ProductForm form) {
        return llvm::any_of(products, [&](auto &product) { return product.second == form; });
      };
      if (has(ProductForm::Tiles) && hasForm(target, element, ProductForm::Pairs))
        for (auto &[dot, form] : products)
          form = std::max(form, ProductForm::Pairs);
      bool isWidened = has(ProductForm::Widened);
      for (auto [dot, form] : products)
        dot->setAttr(
            cpu::formAttr,
            StringAttr::get(&getContext(), enumName(isWidened ? ProductForm::Widened : form)));
    }
  }
};

} // namespace
} // namespace ringc
