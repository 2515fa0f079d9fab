// RUN: ringc-opt --split-input-file --take-shortcuts=branches=true %s | FileCheck %s
// RUN: ringc-opt --split-input-file --take-shortcuts %s | FileCheck %s --check-prefix=NEVER --implicit-check-not=tile.shortcut --implicit-check-not=scf.if

// Two shortcuts by one condition are one branch; what they alone read is computed in it.
// CHECK-LABEL: func.func @together
// CHECK-SAME:    (%[[X:[a-z0-9_]+]]: tensor<8x16xf32>, %[[NEAR:[a-z0-9_]+]]: tensor<8x1xi1>
// CHECK-NEXT:    %[[ALL:.*]] = tile.all %[[NEAR]]
// CHECK-NOT:     arith.addf
// CHECK:         %[[BOTH:.*]]:2 = scf.if %[[ALL]]
// CHECK-NOT:       arith.select
// CHECK-NOT:       arith.mulf
// CHECK:           arith.addf {{.*}} : tensor<8x16xf32>
// CHECK:           arith.addf {{.*}} : tensor<8x1xf32>
// CHECK:         } else {
// CHECK:           arith.mulf {{.*}} : tensor<8x16xf32>
// CHECK:           %[[EACH:.*]] = tile.broadcast %[[NEAR]]
// CHECK:           arith.select %[[EACH]]
// CHECK:           arith.select %[[NEAR]]
// CHECK:         return %[[BOTH]]#0, %[[BOTH]]#1
// NEVER-LABEL: func.func @together
// NEVER:         %[[P:.*]] = arith.mulf {{.*}} : tensor<8x16xf32>
// NEVER:         %[[Q:.*]] = arith.mulf {{.*}} : tensor<8x1xf32>
// NEVER:         return %[[P]], %[[Q]]
func.func @together(%x: tensor<8x16xf32>, %near: tensor<8x1xi1>, %m: tensor<8x1xf32>) -> (tensor<8x16xf32>, tensor<8x1xf32>) {
  %quick = arith.addf %x, %x : tensor<8x16xf32>
  %always = arith.mulf %x, %x : tensor<8x16xf32>
  %a = tile.shortcut %near, %quick, %always : tensor<8x1xi1>, tensor<8x16xf32>
  %quickm = arith.addf %m, %m : tensor<8x1xf32>
  %alwaysm = arith.mulf %m, %m : tensor<8x1xf32>
  %b = tile.shortcut %near, %quickm, %alwaysm : tensor<8x1xi1>, tensor<8x1xf32>
  return %a, %b : tensor<8x16xf32>, tensor<8x1xf32>
}

// -----

// Negative twins: another condition, and what is computed from the first one's result.
// CHECK-LABEL: func.func @apart
// CHECK:         scf.if
// CHECK:         tile.reduce max
// CHECK:         scf.if
// CHECK:         scf.if
// NEVER-LABEL: func.func @apart
func.func @apart(%x: tensor<8x16xf32>, %near: tensor<8x1xi1>, %far: tensor<8x1xi1>) -> (tensor<8x1xf32>, tensor<8x16xf32>) {
  %twice = arith.addf %x, %x : tensor<8x16xf32>
  %a = tile.shortcut %near, %x, %twice : tensor<8x1xi1>, tensor<8x16xf32>
  %top = tile.reduce max %a axis 1 : tensor<8x16xf32> -> tensor<8x1xf32>
  %sum = arith.addf %top, %top : tensor<8x1xf32>
  %b = tile.shortcut %near, %top, %sum : tensor<8x1xi1>, tensor<8x1xf32>
  %c = tile.shortcut %far, %x, %twice : tensor<8x1xi1>, tensor<8x16xf32>
  return %b, %c : tensor<8x1xf32>, tensor<8x16xf32>
}
