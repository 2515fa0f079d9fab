// RUN: ringc-opt --split-loops %s | FileCheck %s

// What the mask shows of a window: causal is exact, so a tile below the diagonal costs nothing.
// CHECK-LABEL: func.func private @causal.visibility(
// CHECK-SAME:    %{{[-a-z0-9_#]+}}: i32, %{{[-a-z0-9_#]+}}: i32, %{{[-a-z0-9_#]+}}: i32, %[[FIRST_I:[a-z0-9_]+]]: i32, %[[LAST_I:[a-z0-9_]+]]: i32, %[[FIRST_J:[a-z0-9_]+]]: i32, %[[LAST_J:[a-z0-9_]+]]: i32
// CHECK-SAME:    -> i32 attributes {tile.mask = @causal}
// CHECK-DAG:     %[[FI:[a-z0-9_]+]] = arith.extsi %[[FIRST_I]]
// CHECK-DAG:     %[[LI:[a-z0-9_]+]] = arith.extsi %[[LAST_I]]
// CHECK-DAG:     %[[FJ:[a-z0-9_]+]] = arith.extsi %[[FIRST_J]]
// CHECK-DAG:     %[[LJ:[a-z0-9_]+]] = arith.extsi %[[LAST_J]]
// CHECK-DAG:     arith.cmpi sle, %[[LJ]], %[[FI]] : i64
// CHECK-DAG:     arith.cmpi slt, %[[LI]], %[[FJ]] : i64
// CHECK:         return
func.func private @causal(%b: i32, %h: i32, %i: i32, %j: i32, %qrow: i32, %krow: i32) -> i1 {
  %visible = arith.cmpi sle, %j, %i : i32
  return %visible : i1
}

// CHECK-LABEL: func.func @keys_in_a_loop
// CHECK:         scf.for %[[COLS:[a-z0-9_]+]] = %{{[-a-z0-9_#]+}} to %{{[-a-z0-9_#]+}} step %{{[-a-z0-9_#]+}} iter_args(%[[ACC:[a-z0-9_]+]] = %{{[-a-z0-9_#]+}}) -> (tensor<8x16xf32>) : i32 {
// CHECK-NEXT:      %[[SHOWN:[a-z0-9_]+]] = tile.visibility @causal.visibility over 1 at %{{[-a-z0-9_#]+}}[%[[ROWS:[a-z0-9_]+]] : 8], %{{[-a-z0-9_#]+}}[%[[COLS]] : 16]
// CHECK-NEXT:      %[[CASE:[a-z0-9_]+]] = arith.index_castui %[[SHOWN]] : i32 to index
// CHECK-NEXT:      scf.index_switch %[[CASE]]
// CHECK-NEXT:      case 0 {
// CHECK-NEXT:        scf.yield %[[ACC]]
// CHECK:           case 1 {
// CHECK-NEXT:        %[[SEEN:[a-z0-9_]+]] = tile.apply @causal at %{{[-a-z0-9_#]+}}[%[[ROWS]]], %{{[-a-z0-9_#]+}}[%[[COLS]]]
// CHECK:             arith.select %[[SEEN]]
// CHECK:           default {
// CHECK-NOT:         tile.apply
// CHECK-NOT:         arith.select
// CHECK:             %[[SUM:[a-z0-9_]+]] = arith.addf %[[ACC]]
// CHECK-NEXT:        scf.yield %[[SUM]]
// Every key is seen by some query of the sequence: none is left out of the window.
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

// The induction variable stands for the axis that the loop is over.
// CHECK-LABEL: func.func @queries_in_a_loop
// CHECK:         scf.for %[[ROWS:[a-z0-9_]+]] = %
// CHECK-NEXT:      tile.visibility @causal.visibility over 0 at %{{[-a-z0-9_#]+}}[%[[ROWS]] : 8], %{{[-a-z0-9_#]+}}[%[[COLS:[a-z0-9_]+]] : 16]
// CHECK:           case 1 {
// CHECK:             tile.apply @causal at %{{[-a-z0-9_#]+}}[%[[ROWS]]], %{{[-a-z0-9_#]+}}[%[[COLS]]]
func.func @queries_in_a_loop(%y: !tile.view<f32, ["Nq"]>, %qpos: !tile.positions<"Nq">, %kpos: !tile.positions<"Nk">, %cols: i32) attributes {tile.kernel} {
  %c0 = arith.constant 0 : i32
  %nq = tile.extent "Nq"
  %zero = arith.constant dense<0.0> : tensor<8x16xf32>
  %r = tile.masked_for @causal over 0 from %c0 to %nq step 8 at %qpos, %kpos fixed %cols init(%zero : tensor<8x16xf32>)
      : !tile.positions<"Nq">, !tile.positions<"Nk"> -> tensor<8x16xf32> {
  ^bb0(%rows: i32, %seen: tensor<8x16xi1>, %acc: tensor<8x16xf32>):
    %column = tile.load %y[%rows] : !tile.view<f32, ["Nq"]> -> tensor<8x1xf32>
    %tile = tile.broadcast %column : tensor<8x1xf32> -> tensor<8x16xf32>
    %chosen = arith.select %seen, %tile, %acc : tensor<8x16xi1>, tensor<8x16xf32>
    tile.yield %chosen : tensor<8x16xf32>
  }
  return
}

// Negative twin: a plain loop is left alone.
// CHECK-LABEL: func.func @plain_loop
// CHECK-NOT:     tile.visibility
// CHECK-NOT:     scf.index_switch
// CHECK:         return
func.func @plain_loop(%x: !tile.view<f32, ["N"]>) attributes {tile.kernel} {
  %c0 = arith.constant 0 : i32
  %c8 = arith.constant 8 : i32
  %n = tile.extent "N"
  %zero = arith.constant dense<0.0> : tensor<8x1xf32>
  %r = scf.for %i = %c0 to %n step %c8 iter_args(%acc = %zero) -> tensor<8x1xf32> : i32 {
    %t = tile.load %x[%i] : !tile.view<f32, ["N"]> -> tensor<8x1xf32>
    %s = arith.addf %acc, %t : tensor<8x1xf32>
    scf.yield %s : tensor<8x1xf32>
  }
  return
}
