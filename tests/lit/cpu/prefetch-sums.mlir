// What a block adds to is asked for before the block's work, a row at a time; what it only stores to is not.
// RUN: ringc-opt --split-input-file --lower-to-vector="vector-bytes=32" --cse %s | FileCheck %s --implicit-check-not="= tile."

// CHECK-LABEL: func.func @adds(
// 16 rows of 32 f32: two lines of memory each.
// CHECK:         scf.for
// CHECK-COUNT-2:   llvm.intr.prefetch
// CHECK-NOT:       llvm.intr.prefetch
// CHECK:         arith.addf
func.func @adds(%x: !tile.view<f32, ["N", "32"]> {tile.name = "x"}, %sum: !tile.view<f32, ["N", "32"]> {tile.name = "sum"}) attributes {tile.grid = [["N", 16]], tile.kernel} {
  %c0 = arith.constant 0 : i32
  %c16 = arith.constant 16 : i32
  %p0 = tile.program_id 0
  %i = arith.muli %p0, %c16 : i32
  %part = tile.load %x[%i, %c0] : !tile.view<f32, ["N", "32"]> -> tensor<16x32xf32>
  tile.store add %part, %sum[%i, %c0] : tensor<16x32xf32>, !tile.view<f32, ["N", "32"]>
  return
}

// -----

// CHECK-LABEL: func.func @stores(
// CHECK-NOT:     llvm.intr.prefetch
func.func @stores(%x: !tile.view<f32, ["N", "32"]> {tile.name = "x"}, %y: !tile.view<f32, ["N", "32"]> {tile.name = "y"}) attributes {tile.grid = [["N", 16]], tile.kernel} {
  %c0 = arith.constant 0 : i32
  %c16 = arith.constant 16 : i32
  %p0 = tile.program_id 0
  %i = arith.muli %p0, %c16 : i32
  %part = tile.load %x[%i, %c0] : !tile.view<f32, ["N", "32"]> -> tensor<16x32xf32>
  tile.store %part, %y[%i, %c0] : tensor<16x32xf32>, !tile.view<f32, ["N", "32"]>
  return
}
