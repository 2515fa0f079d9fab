// A masked loop: nothing is done for tiles that nobody sees, and those that are seen whole pay for no mask.
// RUN: ringc-opt --split-loops --canonicalize --cse --lower-to-vector %s | FileCheck %s

func.func private @causal(%b: i32, %h: i32, %i: i32, %j: i32, %qrow: i32, %krow: i32) -> i1 {
  %visible = arith.cmpi sle, %j, %i : i32
  return %visible : i1
}

// CHECK-LABEL: func.func @weigh(
// CHECK:         scf.index_switch
// CHECK-NEXT:    case 0 {
// CHECK-NEXT:      scf.yield
// CHECK-NEXT:    }
// CHECK-NEXT:    case 1 {
// Lanes are the queries: row by row one key is compared with a vector of them.
// CHECK:           arith.cmpi sle, {{.*}} : vector<8xi32>
// CHECK:           arith.select {{.*}} : vector<8xi1>, vector<8xf32>
// CHECK:         default {
// CHECK-NOT:       arith.cmpi sle
// CHECK-NOT:       vector<8xi1>
// CHECK:           llvm.store
// CHECK:         return
func.func @weigh(%x: !tile.view<f32, ["Nk"]> {tile.name = "x"}, %y: !tile.view<f32, ["Nq"]> {tile.name = "y"}, %qpos: !tile.positions<"Nq"> {tile.name = "qpos", tile.layout = "contiguous"}, %kpos: !tile.positions<"Nk"> {tile.name = "kpos", tile.layout = "contiguous"}) attributes {tile.grid = [["Nq", 8]], tile.group = 1 : i64, tile.kernel, tile.per_head} {
  %c0 = arith.constant 0 : i32
  %c8 = arith.constant 8 : i32
  %p = tile.program_id 0
  %rows = arith.muli %p, %c8 : i32
  %nk = tile.extent "Nk"
  %zero = arith.constant dense<0.0> : tensor<8x16xf32>
  %none = arith.constant dense<0.0> : tensor<8x1xf32>
  %sums = tile.masked_for @causal over 1 from %c0 to %nk step 16 at %qpos, %kpos fixed %rows init(%none : tensor<8x1xf32>)
      : !tile.positions<"Nq">, !tile.positions<"Nk"> -> tensor<8x1xf32> {
  ^bb0(%cols: i32, %seen: tensor<8x16xi1>, %acc: tensor<8x1xf32>):
    %column = tile.load %x[%cols] : !tile.view<f32, ["Nk"]> -> tensor<16x1xf32>
    %row = tile.transpose %column : tensor<16x1xf32> -> tensor<1x16xf32>
    %wide = tile.broadcast %row : tensor<1x16xf32> -> tensor<8x16xf32>
    %chosen = arith.select %seen, %wide, %zero : tensor<8x16xi1>, tensor<8x16xf32>
    %sum = tile.reduce sum %chosen axis 1 : tensor<8x16xf32> -> tensor<8x1xf32>
    %next = arith.addf %acc, %sum : tensor<8x1xf32>
    tile.yield %next : tensor<8x1xf32>
  }
  tile.store %sums, %y[%rows] : tensor<8x1xf32>, !tile.view<f32, ["Nq"]>
  return
}
