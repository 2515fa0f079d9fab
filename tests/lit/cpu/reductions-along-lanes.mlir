// A maximum or sum along the lanes is one of vectors first; what is left of a row is halved until it is one number.
// RUN: ringc-opt --lower-to-vector="vector-bytes=32" --cse %s | FileCheck %s --implicit-check-not="= tile."

// CHECK-LABEL: func.func @greatest(
// CHECK:         scf.for
// CHECK:           arith.cmpf ogt, {{.*}} : vector<8xf32>
// CHECK:           arith.cmpf ogt, {{.*}} : vector<8xf32>
// CHECK:           vector.shuffle {{.*}} [4, 5, 6, 7]
// CHECK:           arith.cmpf ogt, {{.*}} : vector<4xf32>
// CHECK:           arith.cmpf ogt, {{.*}} : vector<2xf32>
// CHECK:           arith.cmpf ogt, {{.*}} : vector<1xf32>
// CHECK:           vector.extract
// CHECK-NOT:     vector.reduction
// CHECK:         return
func.func @greatest(%x: !tile.view<f32, ["N", "16"]> {tile.name = "x"}, %y: !tile.view<f32, ["N"]> {tile.name = "y"}) attributes {tile.grid = [["N", 4]], tile.kernel} {
  %c0 = arith.constant 0 : i32
  %c4 = arith.constant 4 : i32
  %p0 = tile.program_id 0
  %rows = arith.muli %p0, %c4 : i32
  %of = tile.load %x[%rows, %c0] : !tile.view<f32, ["N", "16"]> -> tensor<4x16xf32>
  %most = tile.reduce max %of axis 1 : tensor<4x16xf32> -> tensor<4x1xf32>
  tile.store %most, %y[%rows] : tensor<4x1xf32>, !tile.view<f32, ["N"]>
  return
}
