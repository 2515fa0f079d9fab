// RUN: ringc-opt --split-loops=bodies=one %s | FileCheck %s

func.func private @causal(%b: i32, %h: i32, %i: i32, %j: i32, %qrow: i32, %krow: i32) -> i1 {
  %visible = arith.cmpi sle, %j, %i : i32
  return %visible : i1
}
func.func private @window(%b: i32, %h: i32, %i: i32, %j: i32, %qrow: i32, %krow: i32) -> i1 {
  %visible = arith.cmpi sle, %i, %j : i32
  return %visible : i1
}

// The body stands once; the mask is asked for in a branch around what it selects.
// CHECK-LABEL: func.func @keys_in_a_loop
// CHECK:         %[[SHOWN:[a-z0-9_]+]] = tile.visibility @causal.visibility
// CHECK:         scf.index_switch
// CHECK-NEXT:    case 0 {
// CHECK-NEXT:      scf.yield
// CHECK-NEXT:    }
// CHECK-NEXT:    default {
// CHECK:           %[[PART:[a-z0-9_]+]] = arith.cmpi eq, %[[SHOWN]]
// CHECK:           %[[TILE:[a-z0-9_]+]] = tile.broadcast
// CHECK:           %[[CHOSEN:[a-z0-9_]+]] = scf.if %[[PART]] -> (tensor<8x16xf32>) {
// CHECK-NEXT:        %[[SEEN:[a-z0-9_]+]] = tile.apply @causal
// CHECK-NEXT:        %[[SELECTED:[a-z0-9_]+]] = arith.select %[[SEEN]], %[[TILE]]
// CHECK-NEXT:        scf.yield %[[SELECTED]]
// CHECK-NEXT:      } else {
// CHECK-NEXT:        scf.yield %[[TILE]]
// CHECK-NEXT:      }
// CHECK:           arith.addf %{{[a-z0-9_]+}}, %[[CHOSEN]]
// CHECK-NOT:       tile.apply
// CHECK-NOT:     where
// CHECK:         return
func.func @keys_in_a_loop(%x: !tile.view<f32, ["Nk"]>, %qpos: !tile.positions<"Nq">, %kpos: !tile.positions<"Nk">, %rows: i32) attributes {tile.kernel} {
  %c0 = arith.constant 0 : i32
  %nk = tile.extent "Nk"
  %zero = arith.constant dense<0.0> : tensor<8x16xf32>
  %r = tile.masked_for @causal over 1 from %c0 to %nk step 16 at %qpos, %kpos fixed %rows init(%zero : tensor<8x16xf32>)
      : !tile.positions<"Nq">, !tile.positions<"Nk"> -> tensor<8x16xf32> {
  ^bb0(%cols: i32, %seen: tensor<8x16xi1>, %acc: tensor<8x16xf32>):
    %column = tile.load %x[%cols] : !tile.view<f32, ["Nk"]> -> tensor<16x1xf32>
    %row = tile.transpose %column : tensor<16x1xf32> -> tensor<1x16xf32>
    %tile = tile.broadcast %row : tensor<1x16xf32> -> tensor<8x16xf32>
    %chosen = arith.select %seen, %tile, %zero : tensor<8x16xi1>, tensor<8x16xf32>
    %sum = arith.addf %acc, %chosen : tensor<8x16xf32>
    tile.yield %sum : tensor<8x16xf32>
  }
  return
}

// Keys that no query of the tile sees are left out where the tile is seen in part, and only there.
// CHECK-LABEL: func.func @keys_left_out
// CHECK:         %[[KEPT:[a-z0-9_]+]] = scf.if %[[PART:[a-z0-9_]+]] -> (tensor<16x1xi1>) {
// CHECK:           tile.reduce max
// CHECK:         } else {
// CHECK:           scf.yield %{{[a-z0-9_]+}} : tensor<16x1xi1>
// CHECK:         tile.load %{{[a-z0-9_]+}}[%{{[a-z0-9_]+}}] where %[[KEPT]]
func.func @keys_left_out(%x: !tile.view<f32, ["Nk"]>, %qpos: !tile.positions<"Nq">, %kpos: !tile.positions<"Nk">, %rows: i32) attributes {tile.kernel} {
  %c0 = arith.constant 0 : i32
  %nk = tile.extent "Nk"
  %zero = arith.constant dense<0.0> : tensor<8x16xf32>
  %r = tile.masked_for @window over 1 from %c0 to %nk step 16 at %qpos, %kpos fixed %rows init(%zero : tensor<8x16xf32>)
      : !tile.positions<"Nq">, !tile.positions<"Nk"> -> tensor<8x16xf32> {
  ^bb0(%cols: i32, %seen: tensor<8x16xi1>, %acc: tensor<8x16xf32>):
    %column = tile.load %x[%cols] : !tile.view<f32, ["Nk"]> -> tensor<16x1xf32>
    %row = tile.transpose %column : tensor<16x1xf32> -> tensor<1x16xf32>
    %tile = tile.broadcast %row : tensor<1x16xf32> -> tensor<8x16xf32>
    %chosen = arith.select %seen, %tile, %zero : tensor<8x16xi1>, tensor<8x16xf32>
    tile.yield %chosen : tensor<8x16xf32>
  }
  return
}

// Two selections by one mask are made in one branch. The second is computed from what the first would take, for where
// that makes a difference it is not taken.
// CHECK-LABEL: func.func @two_selections
// CHECK:         %[[TILE:[a-z0-9_]+]] = tile.broadcast
// CHECK:         %[[DOUBLE:[a-z0-9_]+]] = arith.addf %[[TILE]], %[[TILE]]
// CHECK:         %[[BOTH:[a-z0-9_]+]]:2 = scf.if %{{[a-z0-9_]+}} -> (tensor<8x16xf32>, tensor<8x16xf32>) {
// CHECK-NEXT:      %[[SEEN:[a-z0-9_]+]] = tile.apply @causal
// CHECK-NEXT:      %[[FIRST:[a-z0-9_]+]] = arith.select %[[SEEN]], %[[TILE]]
// CHECK-NEXT:      %[[SECOND:[a-z0-9_]+]] = arith.select %[[SEEN]], %[[DOUBLE]]
// CHECK-NEXT:      scf.yield %[[FIRST]], %[[SECOND]]
// CHECK-NEXT:    } else {
// CHECK-NEXT:      scf.yield %[[TILE]], %[[DOUBLE]]
// CHECK:         arith.addf %{{[a-z0-9_]+}}, %[[BOTH]]#0
// CHECK-NOT:     tile.apply
// CHECK:         return
func.func @two_selections(%x: !tile.view<f32, ["Nk"]>, %qpos: !tile.positions<"Nq">, %kpos: !tile.positions<"Nk">, %rows: i32) attributes {tile.kernel} {
  %c0 = arith.constant 0 : i32
  %nk = tile.extent "Nk"
  %zero = arith.constant dense<0.0> : tensor<8x16xf32>
  %r:2 = tile.masked_for @causal over 1 from %c0 to %nk step 16 at %qpos, %kpos fixed %rows init(%zero, %zero : tensor<8x16xf32>, tensor<8x16xf32>)
      : !tile.positions<"Nq">, !tile.positions<"Nk"> -> tensor<8x16xf32>, tensor<8x16xf32> {
  ^bb0(%cols: i32, %seen: tensor<8x16xi1>, %acc: tensor<8x16xf32>, %other: tensor<8x16xf32>):
    %column = tile.load %x[%cols] : !tile.view<f32, ["Nk"]> -> tensor<16x1xf32>
    %row = tile.transpose %column : tensor<16x1xf32> -> tensor<1x16xf32>
    %tile = tile.broadcast %row : tensor<1x16xf32> -> tensor<8x16xf32>
    %first = arith.select %seen, %tile, %zero : tensor<8x16xi1>, tensor<8x16xf32>
    %double = arith.addf %first, %first : tensor<8x16xf32>
    %second = arith.select %seen, %double, %zero : tensor<8x16xi1>, tensor<8x16xf32>
    %sum = arith.addf %acc, %first : tensor<8x16xf32>
    %sum2 = arith.addf %other, %second : tensor<8x16xf32>
    tile.yield %sum, %sum2 : tensor<8x16xf32>, tensor<8x16xf32>
  }
  return
}

// The counterfactual: what is read before the second can be made needs a branch of its own.
// CHECK-LABEL: func.func @one_after_another
// CHECK:         %[[FIRST:[a-z0-9_]+]] = scf.if %{{[a-z0-9_]+}} -> (tensor<8x16xf32>) {
// CHECK:         tile.reduce max %[[FIRST]]
// CHECK:         scf.if %{{[a-z0-9_]+}} -> (tensor<8x16xf32>) {
// CHECK:         return
func.func @one_after_another(%x: !tile.view<f32, ["Nk"]>, %qpos: !tile.positions<"Nq">, %kpos: !tile.positions<"Nk">, %rows: i32) attributes {tile.kernel} {
  %c0 = arith.constant 0 : i32
  %nk = tile.extent "Nk"
  %zero = arith.constant dense<0.0> : tensor<8x16xf32>
  %r = tile.masked_for @causal over 1 from %c0 to %nk step 16 at %qpos, %kpos fixed %rows init(%zero : tensor<8x16xf32>)
      : !tile.positions<"Nq">, !tile.positions<"Nk"> -> tensor<8x16xf32> {
  ^bb0(%cols: i32, %seen: tensor<8x16xi1>, %acc: tensor<8x16xf32>):
    %column = tile.load %x[%cols] : !tile.view<f32, ["Nk"]> -> tensor<16x1xf32>
    %row = tile.transpose %column : tensor<16x1xf32> -> tensor<1x16xf32>
    %tile = tile.broadcast %row : tensor<1x16xf32> -> tensor<8x16xf32>
    %first = arith.select %seen, %tile, %zero : tensor<8x16xi1>, tensor<8x16xf32>
    %top = tile.reduce max %first axis 1 : tensor<8x16xf32> -> tensor<8x1xf32>
    %tops = tile.broadcast %top : tensor<8x1xf32> -> tensor<8x16xf32>
    %second = arith.select %seen, %tops, %zero : tensor<8x16xi1>, tensor<8x16xf32>
    %sum = arith.addf %acc, %second : tensor<8x16xf32>
    tile.yield %sum : tensor<8x16xf32>
  }
  return
}
