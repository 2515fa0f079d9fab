// What the verifiers of the block dialect say.
// RUN: ringc-opt --split-input-file --verify-diagnostics %s

// expected-error@below {{a buffer of 64x64 has no room for a tile of 64x128}}
func.func @too_small(%b: !block.buffer<64x128xbf16 in 64x64>) { return }

// -----

// expected-error@below {{rows of whole lines of 128 bytes are swizzled, not of 160}}
func.func @swizzled_part_of_a_line(%b: !block.buffer<64x80xbf16 in 64x80, swizzled>) { return }

// -----

func.func @begins_within_a_line() {
  // expected-error@below {{begins at a multiple of 128 bytes, got 64}}
  %b = block.buffer at 64 : !block.words<64>
  return
}

// -----

func.func @stage_of_one(%bytes: i32) {
  %b = block.buffer : !block.buffer<64x128xbf16 in 64x128, swizzled>
  // expected-error@below {{is of a block.buffer that has stages}}
  %s = block.stage %b[%bytes] : !block.buffer<64x128xbf16 in 64x128, swizzled>
  return
}

// -----

func.func @releases_another(%b: !block.words<64>) {
  // expected-error@below {{releases what block.buffer has not made}}
  block.release %b : !block.words<64>
  return
}

// -----

func.func @copy_of_another_type(%k: !tile.view<f16, ["Nk", "128"]>, %i: i32) {
  %b = block.buffer : !block.buffer<64x128xbf16 in 64x128, swizzled>
  // expected-error@below {{element types differ}}
  block.copy %k[%i, %i] to %b : !tile.view<f16, ["Nk", "128"]>, !block.buffer<64x128xbf16 in 64x128, swizzled>
  return
}

// -----

func.func @copy_of_one_offset(%k: !tile.view<bf16, ["Nk", "128"]>, %i: i32) {
  %b = block.buffer : !block.buffer<64x128xbf16 in 64x128, swizzled>
  // expected-error@below {{needs an offset for each of one or two axes}}
  block.copy %k[%i] to %b : !tile.view<bf16, ["Nk", "128"]>, !block.buffer<64x128xbf16 in 64x128, swizzled>
  return
}

// -----

func.func @copy_of_too_few_rows(%k: !tile.view<bf16, ["Nk", "128"]>, %i: i32) {
  %b = block.buffer : !block.buffer<64x128xbf16 in 64x128, swizzled>
  %w = block.buffer : !block.words<32>
  // expected-error@below {{64 rows are named by 32 words}}
  block.copy %k[%i, %i] rows %w : !block.words<32> to %b : !tile.view<bf16, ["Nk", "128"]>, !block.buffer<64x128xbf16 in 64x128, swizzled>
  return
}

// -----

func.func @copy_where_too_little(%k: !tile.view<bf16, ["Nk", "128"]>, %i: i32) {
  %b = block.buffer : !block.buffer<60x128xbf16 in 64x128, swizzled>
  %w = block.buffer : !block.words<60>
  // expected-error@below {{64 rows are chosen by 60 words}}
  block.copy %k[%i, %i] where %w : !block.words<60> to %b : !tile.view<bf16, ["Nk", "128"]>, !block.buffer<60x128xbf16 in 64x128, swizzled>
  return
}

// -----

func.func @share_without_room(%t: tensor<64x1xi32>) {
  %w = block.buffer : !block.words<32>
  // expected-error@below {{has no room for 'tensor<64x1xi32>' in '!block.words<32>'}}
  block.share %t to %w : tensor<64x1xi32>, !block.words<32>
  return
}

// -----

func.func @share_of_another_shape(%t: tensor<64x64xbf16>) {
  %b = block.buffer : !block.buffer<64x128xbf16 in 64x128>
  // expected-error@below {{writes 'tensor<64x64xbf16>' to '!block.buffer<64x128xbf16 in 64x128>' from column 0}}
  block.share %t to %b : tensor<64x64xbf16>, !block.buffer<64x128xbf16 in 64x128>
  return
}

// -----

func.func @product_of_one(%b: !block.buffer<64x128xbf16 in 64x128>) {
  // expected-error@below {{has no left operand}}
  %s = block.product by %b {left_k = 1, right_k = 1} : !block.buffer<64x128xbf16 in 64x128> -> tensor<128x64xf32>
  return
}

// -----

func.func @product_of_two_types(%a: tensor<128x128xf16>, %b: !block.buffer<64x128xbf16 in 64x128>) {
  // expected-error@below {{operands have types 'f16' and 'bf16'}}
  %s = block.product tile %a : tensor<128x128xf16> by %b {left_k = 1, right_k = 1} : !block.buffer<64x128xbf16 in 64x128> -> tensor<128x64xf32>
  return
}

// -----

func.func @product_over_axis_2(%a: tensor<128x128xbf16>, %b: !block.buffer<64x128xbf16 in 64x128>) {
  // expected-error@below {{sums over axis 0 or 1, got 2}}
  %s = block.product tile %a : tensor<128x128xbf16> by %b {left_k = 1, right_k = 2} : !block.buffer<64x128xbf16 in 64x128> -> tensor<128x64xf32>
  return
}

// -----

// expected-error@below {{m is axis 0 or 1 of a tile, got 2}}
func.func @third_axis() attributes {a = #block.fragment<matrix, m = 2, blocks = 2x8>} { return }
