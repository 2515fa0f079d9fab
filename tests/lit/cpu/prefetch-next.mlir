// While a nest computes it asks for the windows of the next round, a row of theirs for each of its own: so many at once,
// beside their copying, would wait for each other. What has no such nest is asked for while it is copied (lower-to-vector.mlir).
// RUN: ringc-opt --lower-to-vector="vector-bytes=64 registers=32" --cse %s | FileCheck %s --implicit-check-not="= tile."

// CHECK-LABEL: func.func @sums(
// CHECK:         scf.for {{.*}} : i32
// CHECK-NOT:       llvm.intr.prefetch
// CHECK:           scf.for {{.*}} : i64
// CHECK:             llvm.store
// CHECK:           scf.for {{.*}} : i64
// CHECK-COUNT-2:     llvm.intr.prefetch
// CHECK:             llvm.intr.roundeven
// CHECK-NOT:     llvm.intr.prefetch
func.func @sums(%x: !tile.view<f32, ["N", "32"]> {tile.name = "x"}, %y: !tile.view<f32, ["16", "32"]> {tile.name = "y"}) attributes {tile.grid = [], tile.kernel} {
  %c0 = arith.constant 0 : i32
  %c16 = arith.constant 16 : i32
  %n = tile.extent "N"
  %zero = arith.constant dense<0.0> : tensor<16x32xf32>
  %sum = scf.for %i = %c0 to %n step %c16 iter_args(%acc = %zero) -> (tensor<16x32xf32>) : i32 {
    %part = tile.load %x[%i, %c0] : !tile.view<f32, ["N", "32"]> -> tensor<16x32xf32>
    %power = math.exp2 %part : tensor<16x32xf32>
    %next = arith.addf %acc, %power : tensor<16x32xf32>
    scf.yield %next : tensor<16x32xf32>
  }
  tile.store %sum, %y[%c0, %c0] : tensor<16x32xf32>, !tile.view<f32, ["16", "32"]>
  return
}
