#pragma once

#include "ringc/compiler/spec/TileConfig.h"
#include "ringc/support/EnumNames.h"

namespace ringc {

/// How a product of 16-bit elements is made on a host, its sums in f32.
///
///     Widened  elements become f32 on their way to the product, whose terms are added one by one
///     Pairs    vdpbf16ps: two terms for each lane
///     Tiles    AMX: a block of 16 x 16 sums and 32 terms of each, by tdpbf16ps or tdpfp16ps
enum class ProductForm : uint8_t { Widened, Pairs, Tiles };

template <> struct EnumNames<ProductForm> {
  static constexpr std::array<std::pair<ProductForm, std::string_view>, 3> table = {
      {{ProductForm::Widened, "widened"},
       {ProductForm::Pairs, "pairs"},
       {ProductForm::Tiles, "tiles"}}};
};

/// Of a block of tiles: rows and columns of the result, and terms of a sum.
struct ProductTile {
  static constexpr int64_t rows = 16, columns = 16, terms = 32;
};

/// A product [rows, terms] x [terms, lanes] as a host sees it: the lanes are those of its vectors.
struct ProductShape {
  int64_t rows = 0, lanes = 0, terms = 0;
  /// Whether both factors are windows of memory, which are filled up with zeros to whole tiles.
  bool ofWindows = false;
};

/// TileConfig::microDepth of a form.
constexpr int64_t depthOf(ProductForm form) {
  return form == ProductForm::Tiles ? ProductTile::terms : form == ProductForm::Pairs ? 2 : 1;
}

/// Whether the processor has instructions for the form.
bool hasForm(const Target &target, ElementType element, ProductForm form);

/// The fastest form, by the target's facts and the shape, among those with at most `microDepth`
/// terms at a time; 0 leaves the choice to the model. Tiles that are asked for by their depth are
/// made by loops where the processor has none, so that any host can check them.
ProductForm formOf(const Target &target, ElementType element, const ProductShape &shape,
                   int64_t microDepth = 0);

/// "pairs (2 x f32); also widened": for people. Of a product that fills tiles.
std::string describeForms(const Target &target, ElementType element);

} // namespace ringc
