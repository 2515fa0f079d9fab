// Each product of 16 bit is named the form that is fastest on the host, by its facts.
// RUN: ringc-opt --choose-products="vector-bytes=64" %s | FileCheck %s --check-prefix=WIDENED
// RUN: ringc-opt --choose-products="vector-bytes=64 bf16-dot" %s | FileCheck %s --check-prefix=PAIRS
// RUN: ringc-opt --choose-products="vector-bytes=64 bf16-dot pair-speed=50" %s | FileCheck %s --check-prefix=WIDENED
// RUN: ringc-opt --choose-products="vector-bytes=64 bf16-dot pair-speed=50 bf16-tiles" %s | FileCheck %s --check-prefix=TILES
// RUN: ringc-opt --choose-products="vector-bytes=64 bf16-dot pair-speed=50 bf16-tiles micro-depth=2" %s | FileCheck %s --check-prefix=PAIRS
// RUN: ringc-opt --choose-products="vector-bytes=64 bf16-dot bf16-tiles f16-tiles micro-depth=1" %s | FileCheck %s --check-prefix=WIDENED
// RUN: ringc-opt --choose-products="vector-bytes=64 bf16-dot bf16-tiles f16-tiles" %s | FileCheck %s --check-prefix=MIXED
// RUN: ringc-opt --choose-products="vector-bytes=64 micro-depth=32" %s | FileCheck %s --check-prefix=LOOPS

// The second has two rows: too few for tiles. Elements of a type lie in memory in one way, so that beside tiles it is
// made in pairs also where these are slower than f32, and without pairs both are widened.
// WIDENED: tile.dot {{.*}} {tile.form = "widened"}
// WIDENED: tile.dot {{.*}} {tile.form = "widened"}
// WIDENED: tile.dot {{.*}} {tile.form = "widened"}
// PAIRS:   tile.dot {{.*}} {tile.form = "pairs"}
// PAIRS:   tile.dot {{.*}} {tile.form = "pairs"}
// PAIRS:   tile.dot {{.*}} {tile.form = "widened"}
// TILES:   tile.dot {{.*}} {tile.form = "tiles"}
// TILES:   tile.dot {{.*}} {tile.form = "pairs"}
// TILES:   tile.dot {{.*}} {tile.form = "widened"}
// MIXED:   tile.dot {{.*}} {tile.form = "tiles"}
// MIXED:   tile.dot {{.*}} {tile.form = "pairs"}
// MIXED:   tile.dot {{.*}} {tile.form = "tiles"}
// LOOPS:   tile.dot {{.*}} {tile.form = "widened"}
// LOOPS:   tile.dot {{.*}} {tile.form = "widened"}
// LOOPS:   tile.dot {{.*}} {tile.form = "tiles"}
// An f32 product has no other form.
// WIDENED: tile.dot {{[^{]*}} : tensor<32x64xf32>
// TILES:   tile.dot {{[^{]*}} : tensor<32x64xf32>
func.func @products(%a: !tile.view<bf16, ["32", "64"]>, %b: !tile.view<bf16, ["64", "32"]>, %h: !tile.view<f16, ["32", "64"]>,
                    %g: !tile.view<f16, ["64", "32"]>, %c: !tile.view<f32, ["32", "32"]>) attributes {tile.grid = [["32", 32]], tile.kernel} {
  %c0 = arith.constant 0 : i32
  %left = tile.load %a[%c0, %c0] : !tile.view<bf16, ["32", "64"]> -> tensor<32x64xbf16>
  %few = tile.load %a[%c0, %c0] : !tile.view<bf16, ["32", "64"]> -> tensor<2x64xbf16>
  %right = tile.load %b[%c0, %c0] : !tile.view<bf16, ["64", "32"]> -> tensor<64x32xbf16>
  %other = tile.load %h[%c0, %c0] : !tile.view<f16, ["32", "64"]> -> tensor<32x64xf16>
  %factor = tile.load %g[%c0, %c0] : !tile.view<f16, ["64", "32"]> -> tensor<64x32xf16>
  %first = tile.dot %left, %right : tensor<32x64xbf16>, tensor<64x32xbf16> -> tensor<32x32xf32>
  %second = tile.dot %few, %right : tensor<2x64xbf16>, tensor<64x32xbf16> -> tensor<2x32xf32>
  %third = tile.dot %other, %factor : tensor<32x64xf16>, tensor<64x32xf16> -> tensor<32x32xf32>
  %wide = arith.extf %left : tensor<32x64xbf16> to tensor<32x64xf32>
  %wider = arith.extf %right : tensor<64x32xbf16> to tensor<64x32xf32>
  %fourth = tile.dot %wide, %wider : tensor<32x64xf32>, tensor<64x32xf32> -> tensor<32x32xf32>
  tile.store %first, %c[%c0, %c0] : tensor<32x32xf32>, !tile.view<f32, ["32", "32"]>
  tile.store %second, %c[%c0, %c0] : tensor<2x32xf32>, !tile.view<f32, ["32", "32"]>
  tile.store %third, %c[%c0, %c0] : tensor<32x32xf32>, !tile.view<f32, ["32", "32"]>
  tile.store %fourth, %c[%c0, %c0] : tensor<32x32xf32>, !tile.view<f32, ["32", "32"]>
  return
}
