// RUN: ringc-opt --max-before-scale %s | FileCheck %s

// A positive constant changes places with the maximum.
// CHECK-LABEL: func.func @constant
// CHECK-SAME:    (%[[S:[a-z0-9_]+]]: tensor<8x16xf32>
// CHECK:         %[[TOP:[a-z0-9_]+]] = tile.reduce max %[[S]]
// CHECK:         arith.mulf %[[TOP]]
func.func @constant(%s: tensor<8x16xf32>) -> tensor<8x1xf32> {
  %c = arith.constant 2.0 : f32
  %by = tile.splat %c : f32 -> tensor<8x16xf32>
  %t = arith.mulf %s, %by : tensor<8x16xf32>
  %top = tile.reduce max %t axis 1 : tensor<8x16xf32> -> tensor<8x1xf32>
  return %top : tensor<8x1xf32>
}

// Of a number that may be negative the scores take the sign in a branch that there is already.
// CHECK-LABEL: func.func @masked
// CHECK-SAME:    (%[[S:[a-z0-9_]+]]: tensor<8x16xf32>, %[[SEEN:[a-z0-9_]+]]: tensor<8x16xi1>, %[[C:[a-z0-9_]+]]: f32, %[[PART:[a-z0-9_]+]]: i1
// CHECK:         %[[POSITIVE:[a-z0-9_]+]] = arith.cmpf ogt, %[[C]]
// CHECK:         %[[NOT:[a-z0-9_]+]] = arith.xori %[[POSITIVE]]
// CHECK:         %[[FACTOR:[a-z0-9_]+]] = arith.select %[[POSITIVE]], %[[C]]
// CHECK:         %[[TOUCH:[a-z0-9_]+]] = arith.ori %[[PART]], %[[NOT]]
// CHECK:         %[[RAW:[a-z0-9_]+]] = scf.if %[[TOUCH]]
// CHECK:           arith.mulf %[[S]]
// CHECK:           arith.select %[[SEEN]]
// CHECK:         } else {
// CHECK-NEXT:      scf.yield %[[S]]
// CHECK:         tile.splat %[[FACTOR]]
// CHECK:         tile.reduce max %[[RAW]]
func.func @masked(%s: tensor<8x16xf32>, %seen: tensor<8x16xi1>, %c: f32, %part: i1) -> (tensor<8x16xf32>, tensor<8x1xf32>) {
  %none = arith.constant dense<0xFF800000> : tensor<8x16xf32>
  %by = tile.splat %c : f32 -> tensor<8x16xf32>
  %t = arith.mulf %s, %by : tensor<8x16xf32>
  %u = scf.if %part -> (tensor<8x16xf32>) {
    %chosen = arith.select %seen, %t, %none : tensor<8x16xi1>, tensor<8x16xf32>
    scf.yield %chosen : tensor<8x16xf32>
  } else {
    scf.yield %t : tensor<8x16xf32>
  }
  %top = tile.reduce max %u axis 1 : tensor<8x16xf32> -> tensor<8x1xf32>
  return %u, %top : tensor<8x16xf32>, tensor<8x1xf32>
}

// Negative twins: a sum, and a factor for each element.
// CHECK-LABEL: func.func @left_alone
// CHECK:         %[[T:[a-z0-9_]+]] = arith.mulf
// CHECK-NEXT:    tile.reduce sum %[[T]]
// CHECK-NEXT:    %[[U:[a-z0-9_]+]] = arith.mulf
// CHECK-NEXT:    tile.reduce max %[[U]]
func.func @left_alone(%s: tensor<8x16xf32>, %c: f32) -> (tensor<8x1xf32>, tensor<8x1xf32>) {
  %by = tile.splat %c : f32 -> tensor<8x16xf32>
  %t = arith.mulf %s, %by : tensor<8x16xf32>
  %sum = tile.reduce sum %t axis 1 : tensor<8x16xf32> -> tensor<8x1xf32>
  %u = arith.mulf %s, %s : tensor<8x16xf32>
  %top = tile.reduce max %u axis 1 : tensor<8x16xf32> -> tensor<8x1xf32>
  return %sum, %top : tensor<8x1xf32>, tensor<8x1xf32>
}
