// A window whose rows become lanes is turned by squares of registers where all of its columns are inside the view, and element by
// element at the view's edge. The next one, so many columns on, is asked for by rows in both.
// RUN: ringc-opt --lower-to-vector="vector-bytes=32" --cse %s | FileCheck %s --implicit-check-not="= tile."

// CHECK-LABEL: func.func @matmul_bt(
// The left factor stays as it lies.
// CHECK:         llvm.intr.prefetch
// CHECK:         llvm.load {{.*}} -> vector<8xf32>
// CHECK-NOT:     vector.shuffle
// CHECK:         scf.if
// CHECK-COUNT-8:   llvm.intr.prefetch
// CHECK-COUNT-8:   llvm.load {{.*}} -> vector<8xf32>
// CHECK-COUNT-24:  vector.shuffle
// CHECK-COUNT-8:   llvm.store {{.*}} : vector<8xf32>
// CHECK:         } else {
// CHECK-NOT:       vector.shuffle
// CHECK:           llvm.intr.prefetch
// CHECK:           llvm.load {{.*}} -> f32
// CHECK-NOT:     vector.shuffle
// CHECK:         llvm.intr.fma
// CHECK:         return
func.func @matmul_bt(%a: !tile.view<f32, ["M", "K"]> {tile.name = "a"}, %b: !tile.view<f32, ["N", "K"]> {tile.name = "b"}, %c: !tile.view<f32, ["M", "N"]> {tile.name = "c"}) attributes {tile.grid = [["M", 8], ["N", 8]], tile.kernel} {
  %c0 = arith.constant 0 : i32
  %c8 = arith.constant 8 : i32
  %zero = arith.constant dense<0.0> : tensor<8x8xf32>
  %p0 = tile.program_id 0
  %i = arith.muli %p0, %c8 : i32
  %p1 = tile.program_id 1
  %j = arith.muli %p1, %c8 : i32
  %depth = tile.extent "K"
  %sum = scf.for %k = %c0 to %depth step %c8 iter_args(%acc = %zero) -> (tensor<8x8xf32>) : i32 {
    %left = tile.load %a[%i, %k] : !tile.view<f32, ["M", "K"]> -> tensor<8x8xf32>
    %lies = tile.load %b[%j, %k] : !tile.view<f32, ["N", "K"]> -> tensor<8x8xf32>
    %right = tile.transpose %lies : tensor<8x8xf32> -> tensor<8x8xf32>
    %next = tile.dot %left, %right acc(%acc : tensor<8x8xf32>) : tensor<8x8xf32>, tensor<8x8xf32> -> tensor<8x8xf32>
    scf.yield %next : tensor<8x8xf32>
  }
  tile.store %sum, %c[%i, %j] : tensor<8x8xf32>, !tile.view<f32, ["M", "N"]>
  return
}
