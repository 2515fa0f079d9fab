// One llvm.func, no call: what has no instruction is a polynomial.
// RUN: ringc-opt --to-llvm %s | FileCheck %s --implicit-check-not="= scf." --implicit-check-not="= vector." --implicit-check-not="= arith." --implicit-check-not="= math." --implicit-check-not="llvm.call " --implicit-check-not=llvm.intr.exp2 --implicit-check-not=llvm.intr.tanh --implicit-check-not=llvm.intr.log2
// The stages by name lead to the same.
// RUN: ringc-opt --to-vector --lower-to-llvm %s | FileCheck %s

// CHECK:     llvm.func @functions(%{{.*}}: !llvm.ptr, %{{.*}}: i64, %{{.*}}: i64, %{{.*}}: i64, %{{.*}}: i64, %{{.*}}: !llvm.ptr) {
// CHECK:       llvm.intr.roundeven
// CHECK:       llvm.fmul
// CHECK:       llvm.intr.sqrt
// CHECK:       llvm.return
func.func @functions(%x: !tile.view<f32, ["M", "16"]> {tile.name = "x"}, %y: !tile.view<f32, ["M", "16"]> {tile.name = "y"}) attributes {tile.grid = [["M", 8]], tile.kernel} {
  %c0 = arith.constant 0 : i32
  %c8 = arith.constant 8 : i32
  %p = tile.program_id 0
  %r = arith.muli %p, %c8 : i32
  %t = tile.load %x[%r, %c0] : !tile.view<f32, ["M", "16"]> -> tensor<8x16xf32>
  %e = math.exp2 %t : tensor<8x16xf32>
  %h = math.tanh %e : tensor<8x16xf32>
  %l = math.log2 %h : tensor<8x16xf32>
  %s = math.sqrt %l : tensor<8x16xf32>
  tile.store %s, %y[%r, %c0] : tensor<8x16xf32>, !tile.view<f32, ["M", "16"]>
  return
}
