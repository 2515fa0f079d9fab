#pragma once

#include "ringc/compiler/dialect/Tile.h"
#include "ringc/compiler/spec/ProductForm.h"

namespace ringc::cpu {

/// On a product of 16-bit tiles: "widened", "pairs" or "tiles" (ProductForm). choose-products puts
/// it there, and nothing else decides.
constexpr llvm::StringLiteral formAttr = "tile.form";

/// Of f32, and where it says nothing, widened.
ProductForm formOf(tile::DotOp dot);

} // namespace ringc::cpu
