// RUN: ringc-opt --split-input-file --take-shortcuts=branches=true %s | FileCheck %s
// RUN: ringc-opt --split-input-file --take-shortcuts %s | FileCheck %s --check-prefix=NEVER --implicit-check-not=tile.shortcut --implicit-check-not=scf.if

// Two shortcuts by one condition are one branch; what they alone read is computed in it.
// CHECK-LABEL: func.func @together
// CHECK-SAME:    (%[[A:[a-z0-9_]+]]: tensor<8x4xf32>, %[[B:[a-z0-9_]+]]: tensor<4x16xf32>, %[[NEAR:[a-z0-9_]+]]: tensor<8x1xi1>
// CHECK:         %[[ALL:.*]] = tile.all %[[NEAR]]
// CHECK:         %[[X:.*]] = tile.dot
// CHECK-NOT:     arith.mulf
// CHECK:         %[[BOTH:.*]]:2 = scf.if %[[ALL]]
// CHECK-NOT:       arith.select
// CHECK-NOT:       arith.mulf
// CHECK:           arith.addf {{.*}} : tensor<8x1xf32>
// CHECK-NEXT:      scf.yield %[[X]],
// CHECK:         } else {
// CHECK:           arith.mulf {{.*}} : tensor<8x16xf32>
// CHECK:           %[[EACH:.*]] = tile.broadcast %[[NEAR]]
// CHECK:           arith.select %[[EACH]], %[[X]],
// CHECK:           arith.select %[[NEAR]]
// CHECK:         return %[[BOTH]]#0, %[[BOTH]]#1
// NEVER-LABEL: func.func @together
// NEVER:         %[[P:.*]] = arith.mulf {{.*}} : tensor<8x16xf32>
// NEVER:         %[[Q:.*]] = arith.mulf {{.*}} : tensor<8x1xf32>
// NEVER:         return %[[P]], %[[Q]]
func.func @together(%a: tensor<8x4xf32>, %b: tensor<4x16xf32>, %near: tensor<8x1xi1>, %m: tensor<8x1xf32>) -> (tensor<8x16xf32>, tensor<8x1xf32>) {
  %x = tile.dot %a, %b : tensor<8x4xf32>, tensor<4x16xf32> -> tensor<8x16xf32>
  %always = arith.mulf %x, %x : tensor<8x16xf32>
  %p = tile.shortcut %near, %x, %always : tensor<8x1xi1>, tensor<8x16xf32>
  %quickm = arith.addf %m, %m : tensor<8x1xf32>
  %alwaysm = arith.mulf %m, %m : tensor<8x1xf32>
  %q = tile.shortcut %near, %quickm, %alwaysm : tensor<8x1xi1>, tensor<8x1xf32>
  return %p, %q : tensor<8x16xf32>, tensor<8x1xf32>
}

// -----

// What scales a product moves into the multiply-add behind the branch.
// CHECK-LABEL: func.func @scaled
// CHECK-SAME:    %[[C:[a-z0-9_]+]]: f32
// CHECK:         %[[BOTH:.*]] = arith.mulf %[[C]]
// CHECK:         %[[FACTOR:.*]] = tile.splat %[[BOTH]]
// CHECK:         %[[NEAR:.*]] = scf.if
// CHECK-NEXT:      scf.yield
// CHECK:         math.fma %[[NEAR]], %[[FACTOR]]
// NEVER-LABEL: func.func @scaled
func.func @scaled(%a: tensor<8x4xf32>, %b: tensor<4x16xf32>, %near: tensor<8x1xi1>, %m: tensor<8x16xf32>, %c: f32) -> tensor<8x16xf32> {
  %log2e = arith.constant dense<1.5> : tensor<8x16xf32>
  %x = tile.dot %a, %b : tensor<8x4xf32>, tensor<4x16xf32> -> tensor<8x16xf32>
  %by = tile.splat %c : f32 -> tensor<8x16xf32>
  %s = arith.mulf %x, %by : tensor<8x16xf32>
  %always = arith.subf %s, %m : tensor<8x16xf32>
  %p = tile.shortcut %near, %s, %always : tensor<8x1xi1>, tensor<8x16xf32>
  %e = math.fma %p, %log2e, %m : tensor<8x16xf32>
  return %e : tensor<8x16xf32>
}

// -----

// Negative twins: a tile that is computed element by element needs no branch, nor do columns of its condition have one.
// CHECK-LABEL: func.func @by_element
// CHECK-NOT:     scf.if
// CHECK-NOT:     tile.all
// CHECK:         return
// NEVER-LABEL: func.func @by_element
func.func @by_element(%x: tensor<8x16xf32>, %near: tensor<8x1xi1>, %m: tensor<8x1xf32>) -> (tensor<8x16xf32>, tensor<8x1xf32>) {
  %s = math.absf %x : tensor<8x16xf32>
  %always = arith.mulf %s, %x : tensor<8x16xf32>
  %p = tile.shortcut %near, %s, %always : tensor<8x1xi1>, tensor<8x16xf32>
  %alwaysm = arith.mulf %m, %m : tensor<8x1xf32>
  %q = tile.shortcut %near, %m, %alwaysm : tensor<8x1xi1>, tensor<8x1xf32>
  return %p, %q : tensor<8x16xf32>, tensor<8x1xf32>
}
