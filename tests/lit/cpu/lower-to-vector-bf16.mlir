// bf16 is multiplied in pairs where the processor does that, and as f32 elsewhere.
// RUN: ringc-opt --choose-products="vector-bytes=64 bf16-dot" --lower-to-vector="vector-bytes=64 registers=32 bf16-dot" %s | FileCheck %s --check-prefix=PAIRS --implicit-check-not=llvm.intr.fma
// RUN: ringc-opt --choose-products="vector-bytes=32 bf16-dot" --lower-to-vector="vector-bytes=32 bf16-dot" %s | FileCheck %s --check-prefix=NARROW
// RUN: ringc-opt --lower-to-vector="vector-bytes=64 registers=32" %s | FileCheck %s --check-prefix=WIDE --implicit-check-not=dpbf16ps

// PAIRS:  llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"({{.*}}) : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
// NARROW: llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.256"({{.*}}) : (vector<8xf32>, vector<16xbf16>, vector<16xbf16>) -> vector<8xf32>
// WIDE:   arith.extf {{.*}} : vector<16xbf16> to vector<16xf32>
// WIDE:   llvm.intr.fma({{.*}}) : (vector<16xf32>, vector<16xf32>, vector<16xf32>) -> vector<16xf32>
func.func @product(%a: !tile.view<bf16, ["8", "4"]>, %b: !tile.view<bf16, ["4", "16"]>, %c: !tile.view<f32, ["8", "16"]>) attributes {tile.grid = [["8", 8]], tile.kernel} {
  %c0 = arith.constant 0 : i32
  %left = tile.load %a[%c0, %c0] : !tile.view<bf16, ["8", "4"]> -> tensor<8x4xbf16>
  %right = tile.load %b[%c0, %c0] : !tile.view<bf16, ["4", "16"]> -> tensor<4x16xbf16>
  %product = tile.dot %left, %right : tensor<8x4xbf16>, tensor<4x16xbf16> -> tensor<8x16xf32>
  tile.store %product, %c[%c0, %c0] : tensor<8x16xf32>, !tile.view<f32, ["8", "16"]>
  return
}
