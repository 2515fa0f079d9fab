// The negative twins of visible-ranges-nests: all rows are computed.
// RUN: ringc-opt --split-input-file --split-loops --canonicalize --cse --lower-to-vector %s | FileCheck %s

func.func private @causal(%b: i32, %h: i32, %i: i32, %j: i32, %qrow: i32, %krow: i32) -> i1 {
  %visible = arith.cmpi sle, %j, %i : i32
  return %visible : i1
}

// Somebody stores the weights: they have to be there, and are computed once, for the sum as well.
// CHECK-LABEL: func.func @looked_at(
// CHECK:         case 1 {
// CHECK-COUNT-2:   scf.for %{{.*}} = %c0_{{.*}} to %c32_{{.*}} step %c1_{{.*}} -> (vector<8xf32>, vector<8xf32>)
// CHECK:         default {
func.func @looked_at(%q: !tile.view<f32, ["Nq", "8"]> {tile.name = "q"}, %k: !tile.view<f32, ["Nk", "8"]> {tile.name = "k"}, %y: !tile.view<f32, ["Nq", "8"]> {tile.name = "y"}, %l: !tile.view<f32, ["Nq"]> {tile.name = "l"}, %x: !tile.view<f32, ["Nq", "32"]> {tile.name = "x"}, %qpos: !tile.positions<"Nq"> {tile.name = "qpos", tile.layout = "contiguous"}, %kpos: !tile.positions<"Nk"> {tile.name = "kpos", tile.layout = "contiguous"}) attributes {tile.grid = [["Nq", 32]], tile.group = 1 : i64, tile.kernel, tile.per_head} {
  %c0 = arith.constant 0 : i32
  %c32 = arith.constant 32 : i32
  %p0 = tile.program_id 0
  %rows = arith.muli %p0, %c32 : i32
  %nk = tile.extent "Nk"
  %lowest = arith.constant dense<0xFF800000> : tensor<32x32xf32>
  %zero = arith.constant dense<0.0> : tensor<32x32xf32>
  %none = arith.constant dense<0.0> : tensor<32x8xf32>
  %nothing = arith.constant dense<0.0> : tensor<32x1xf32>
  %qt = tile.load %q[%rows, %c0] : !tile.view<f32, ["Nq", "8"]> -> tensor<32x8xf32>
  %sums:2 = tile.masked_for @causal over 1 from %c0 to %nk step 32 at %qpos, %kpos fixed %rows init(%none, %nothing : tensor<32x8xf32>, tensor<32x1xf32>)
      : !tile.positions<"Nq">, !tile.positions<"Nk"> -> tensor<32x8xf32>, tensor<32x1xf32> {
  ^bb0(%cols: i32, %seen: tensor<32x32xi1>, %acc: tensor<32x8xf32>, %old: tensor<32x1xf32>):
    %kt = tile.load %k[%cols, %c0] : !tile.view<f32, ["Nk", "8"]> -> tensor<32x8xf32>
    %turned = tile.transpose %kt : tensor<32x8xf32> -> tensor<8x32xf32>
    %s = tile.dot %qt, %turned : tensor<32x8xf32>, tensor<8x32xf32> -> tensor<32x32xf32>
    %t = arith.select %seen, %s, %lowest : tensor<32x32xi1>, tensor<32x32xf32>
    %top = tile.reduce max %t axis 1 : tensor<32x32xf32> -> tensor<32x1xf32>
    %wide = tile.broadcast %top : tensor<32x1xf32> -> tensor<32x32xf32>
    %below = arith.subf %t, %wide : tensor<32x32xf32>
    %p = math.exp2 %below : tensor<32x32xf32>
    %sum = tile.reduce sum %p axis 1 : tensor<32x32xf32> -> tensor<32x1xf32>
    %more = arith.addf %old, %sum : tensor<32x1xf32>
    tile.store %p, %x[%rows, %c0] : tensor<32x32xf32>, !tile.view<f32, ["Nq", "32"]>
    %next = tile.dot %p, %kt acc(%acc : tensor<32x8xf32>) : tensor<32x32xf32>, tensor<32x8xf32> -> tensor<32x8xf32>
    tile.yield %next, %more : tensor<32x8xf32>, tensor<32x1xf32>
  }
  tile.store %sums#0, %y[%rows, %c0] : tensor<32x8xf32>, !tile.view<f32, ["Nq", "8"]>
  tile.store %sums#1, %l[%rows] : tensor<32x1xf32>, !tile.view<f32, ["Nq"]>
  return
}

// -----

func.func private @causal(%b: i32, %h: i32, %i: i32, %j: i32, %qrow: i32, %krow: i32) -> i1 {
  %visible = arith.cmpi sle, %j, %i : i32
  return %visible : i1
}

// Where hidden the scores are 0, which may be the greatest.
// CHECK-LABEL: func.func @not_identity(
// CHECK:         case 1 {
// CHECK-COUNT-2:   scf.for %{{.*}} = %c0_{{.*}} to %c32_{{.*}} step %c1_{{.*}} -> (vector<8xf32>, vector<8xf32>)
// CHECK:         default {
func.func @not_identity(%q: !tile.view<f32, ["Nq", "8"]> {tile.name = "q"}, %k: !tile.view<f32, ["Nk", "8"]> {tile.name = "k"}, %y: !tile.view<f32, ["Nq", "8"]> {tile.name = "y"}, %l: !tile.view<f32, ["Nq"]> {tile.name = "l"}, %qpos: !tile.positions<"Nq"> {tile.name = "qpos", tile.layout = "contiguous"}, %kpos: !tile.positions<"Nk"> {tile.name = "kpos", tile.layout = "contiguous"}) attributes {tile.grid = [["Nq", 32]], tile.group = 1 : i64, tile.kernel, tile.per_head} {
  %c0 = arith.constant 0 : i32
  %c32 = arith.constant 32 : i32
  %p0 = tile.program_id 0
  %rows = arith.muli %p0, %c32 : i32
  %nk = tile.extent "Nk"
  %lowest = arith.constant dense<0xFF800000> : tensor<32x32xf32>
  %zero = arith.constant dense<0.0> : tensor<32x32xf32>
  %none = arith.constant dense<0.0> : tensor<32x8xf32>
  %nothing = arith.constant dense<0.0> : tensor<32x1xf32>
  %qt = tile.load %q[%rows, %c0] : !tile.view<f32, ["Nq", "8"]> -> tensor<32x8xf32>
  %sums:2 = tile.masked_for @causal over 1 from %c0 to %nk step 32 at %qpos, %kpos fixed %rows init(%none, %nothing : tensor<32x8xf32>, tensor<32x1xf32>)
      : !tile.positions<"Nq">, !tile.positions<"Nk"> -> tensor<32x8xf32>, tensor<32x1xf32> {
  ^bb0(%cols: i32, %seen: tensor<32x32xi1>, %acc: tensor<32x8xf32>, %old: tensor<32x1xf32>):
    %kt = tile.load %k[%cols, %c0] : !tile.view<f32, ["Nk", "8"]> -> tensor<32x8xf32>
    %turned = tile.transpose %kt : tensor<32x8xf32> -> tensor<8x32xf32>
    %s = tile.dot %qt, %turned : tensor<32x8xf32>, tensor<8x32xf32> -> tensor<32x32xf32>
    %t = arith.select %seen, %s, %zero : tensor<32x32xi1>, tensor<32x32xf32>
    %top = tile.reduce max %t axis 1 : tensor<32x32xf32> -> tensor<32x1xf32>
    %wide = tile.broadcast %top : tensor<32x1xf32> -> tensor<32x32xf32>
    %below = arith.subf %t, %wide : tensor<32x32xf32>
    %p = math.exp2 %below : tensor<32x32xf32>
    %sum = tile.reduce sum %p axis 1 : tensor<32x32xf32> -> tensor<32x1xf32>
    %more = arith.addf %old, %sum : tensor<32x1xf32>
    %next = tile.dot %p, %kt acc(%acc : tensor<32x8xf32>) : tensor<32x32xf32>, tensor<32x8xf32> -> tensor<32x8xf32>
    tile.yield %next, %more : tensor<32x8xf32>, tensor<32x1xf32>
  }
  tile.store %sums#0, %y[%rows, %c0] : tensor<32x8xf32>, !tile.view<f32, ["Nq", "8"]>
  tile.store %sums#1, %l[%rows] : tensor<32x1xf32>, !tile.view<f32, ["Nq"]>
  return
}
