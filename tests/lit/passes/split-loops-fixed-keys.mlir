// RUN: ringc-opt %s --split-input-file --split-loops | FileCheck %s

// A loop over queries that loads its fixed keys once more reads what was loaded before it.
func.func private @causal(%b: i32, %h: i32, %i: i32, %j: i32, %qrow: i32, %krow: i32) -> i1 {
  %visible = arith.cmpi sle, %j, %i : i32
  return %visible : i1
}
// CHECK-LABEL: func.func @causal_queries
// CHECK:         %[[KEYS:[0-9]+]] = tile.load %arg1
// CHECK:         scf.for
// CHECK-NOT:       tile.load %arg1
// CHECK-COUNT-2:   tile.store add %[[KEYS]]
// CHECK:         return
func.func @causal_queries(%sum: !tile.view<f32, ["Nq", "4"]>, %x: !tile.view<f32, ["Nk", "4"]>, %qpos: !tile.positions<"Nq">, %kpos: !tile.positions<"Nk">, %keys: i32) attributes {tile.kernel} {
  %c0 = arith.constant 0 : i32
  %nq = tile.extent "Nq"
  %before = tile.load %x[%keys, %c0] : !tile.view<f32, ["Nk", "4"]> -> tensor<16x4xf32>
  tile.store %before, %x[%keys, %c0] : tensor<16x4xf32>, !tile.view<f32, ["Nk", "4"]>
  tile.masked_for @causal over 0 from %c0 to %nq step 16 at %qpos, %kpos fixed %keys
      : !tile.positions<"Nq">, !tile.positions<"Nk"> {
  ^bb0(%rows: i32, %seen: tensor<16x16xi1>):
    %t = tile.load %x[%keys, %c0] : !tile.view<f32, ["Nk", "4"]> -> tensor<16x4xf32>
    tile.store add %t, %sum[%rows, %c0] : tensor<16x4xf32>, !tile.view<f32, ["Nq", "4"]>
    tile.yield
  }
  return
}

// -----

// Negative twin: under a window a partial tile leaves out the keys that none of its queries sees, and reads them itself.
func.func private @window(%b: i32, %h: i32, %i: i32, %j: i32, %qrow: i32, %krow: i32, %left: i32) -> i1 {
  %distance = arith.subi %i, %j : i32
  %visible = arith.cmpi sle, %distance, %left : i32
  return %visible : i1
}
// CHECK-LABEL: func.func @window_queries
// CHECK:         %[[KEYS:[0-9]+]] = tile.load %arg1
// CHECK:         case 1 {
// CHECK:           %[[SEEN:[a-z0-9_]+]] = tile.apply @window
// CHECK:           %[[ONES:[a-z0-9_]+]] = arith.select %[[SEEN]]
// CHECK:           %[[MOST:[a-z0-9_]+]] = tile.reduce max %[[ONES]] axis 0
// CHECK:           %[[ANY:[a-z0-9_]+]] = arith.cmpf ogt, %[[MOST]]
// CHECK:           %[[KEPT:[a-z0-9_]+]] = tile.transpose %[[ANY]]
// CHECK:           %[[PART:[0-9]+]] = tile.load %arg1{{.*}} where %[[KEPT]]
// CHECK:           tile.store add %[[PART]]
// CHECK:         default {
// CHECK:           tile.store add %[[KEYS]]
// CHECK:         return
func.func @window_queries(%sum: !tile.view<f32, ["Nq", "4"]>, %x: !tile.view<f32, ["Nk", "4"]>, %qpos: !tile.positions<"Nq">, %kpos: !tile.positions<"Nk">, %keys: i32, %left: i32) attributes {tile.kernel} {
  %c0 = arith.constant 0 : i32
  %nq = tile.extent "Nq"
  %before = tile.load %x[%keys, %c0] : !tile.view<f32, ["Nk", "4"]> -> tensor<16x4xf32>
  tile.store %before, %x[%keys, %c0] : tensor<16x4xf32>, !tile.view<f32, ["Nk", "4"]>
  tile.masked_for @window over 0 from %c0 to %nq step 16 at %qpos, %kpos fixed %keys with (%left : i32)
      : !tile.positions<"Nq">, !tile.positions<"Nk"> {
  ^bb0(%rows: i32, %seen: tensor<16x16xi1>):
    %t = tile.load %x[%keys, %c0] : !tile.view<f32, ["Nk", "4"]> -> tensor<16x4xf32>
    tile.store add %t, %sum[%rows, %c0] : tensor<16x4xf32>, !tile.view<f32, ["Nq", "4"]>
    tile.yield
  }
  return
}
