#include "ringc/compiler/spec/ProductForm.h"

#include <algorithm>

namespace ringc {

namespace {

int64_t roundedUp(int64_t count, int64_t step) { return (count + step - 1) / step * step; }

/// Multiply-adds for one of f32 in the same time, in hundredths.
int64_t speedOf(const Target &target, ProductForm form) {
  switch (form) {
  case ProductForm::Widened:
    return 100;
  case ProductForm::Pairs:
    return target.pairSpeed;
  case ProductForm::Tiles:
    return target.tileSpeed;
  }
  return 100;
}

/// A tile's rows and columns are computed whether there are any or not; what is computed by nests
/// has no zeros behind its last term; and a product with few rows reads a window where it lies.
bool fillsTiles(const ProductShape &shape) {
  return std::min(shape.rows, shape.lanes) >= ProductTile::rows &&
         std::max(shape.rows, shape.lanes) >= 2 * ProductTile::rows &&
         (shape.ofWindows || shape.terms % ProductTile::terms == 0);
}

/// In hundredths of the time of an f32 multiply-add.
int64_t costOf(const Target &target, ProductForm form, const ProductShape &shape) {
  if (form != ProductForm::Tiles)
    return shape.rows * roundedUp(shape.lanes, target.vectorFloats()) * shape.terms * 10000 /
           speedOf(target, form);
  int64_t sums =
      roundedUp(shape.rows, ProductTile::rows) * roundedUp(shape.lanes, ProductTile::columns);
  // Sums are read from memory and written there for each product: as long as 4 of f32.
  return sums * roundedUp(shape.terms, ProductTile::terms) * 10000 / speedOf(target, form) +
         sums * 400;
}

} // namespace

bool hasForm(const Target &target, ElementType element, ProductForm form) {
  switch (form) {
  case ProductForm::Widened:
    return true;
  case ProductForm::Pairs:
    return element == ElementType::BF16 && target.hasBf16Dot;
  case ProductForm::Tiles:
    return element == ElementType::BF16  ? target.hasBf16Tiles
           : element == ElementType::F16 ? target.hasF16Tiles
                                         : false;
  }
  return false;
}

ProductForm formOf(const Target &target, ElementType element, const ProductShape &shape,
                   int64_t microDepth) {
  if (element == ElementType::F32)
    return ProductForm::Widened;
  ProductForm best = ProductForm::Widened;
  for (ProductForm form : {ProductForm::Pairs, ProductForm::Tiles}) {
    bool isTiles = form == ProductForm::Tiles;
    bool isAsked = microDepth == depthOf(form);
    if ((microDepth && depthOf(form) > microDepth) || (isTiles && !fillsTiles(shape)) ||
        (!hasForm(target, element, form) && !(isTiles && isAsked)))
      continue;
    if (isAsked || costOf(target, form, shape) < costOf(target, best, shape))
      best = form;
  }
  return best;
}

std::string describeForms(const Target &target, ElementType element) {
  constexpr ProductShape large{64, 64, 64};
  auto describe = [&](ProductForm form) {
    int64_t speed = speedOf(target, form);
    std::string times = std::to_string(speed / 100);
    if (speed % 100)
      times += "." + std::to_string(speed % 100 / 10);
    return std::string(enumName(form)) +
           (form == ProductForm::Widened ? "" : " (" + times + " x f32)");
  };
  ProductForm used = formOf(target, element, large);
  std::string text = describe(used), others;
  for (const auto &[form, name] : EnumNames<ProductForm>::table)
    if (form != used && hasForm(target, element, form))
      others += (others.empty() ? "" : ", ") + describe(form);
  return text + (others.empty() ? "" : "; slower: " + others);
}

} // namespace ringc
