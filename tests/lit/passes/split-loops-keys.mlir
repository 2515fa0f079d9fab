// Keys that no query sees may hold NaN: windows of a partial tile leave them out, for 0 * NaN is NaN.
// RUN: ringc-opt --split-loops --split-input-file %s | FileCheck %s

// What depends on the key alone is a function of its own, evaluated for one row of the tile.
// CHECK-LABEL: func.func private @padded.keys(
// CHECK-SAME:    %[[B:[a-z0-9_]+]]: i32, %{{[-a-z0-9_#]+}}: i32, %{{[-a-z0-9_#]+}}: i32, %{{[-a-z0-9_#]+}}: i32, %{{[-a-z0-9_#]+}}: i32, %[[KROW:[a-z0-9_]+]]: i32, %[[VIEW:[a-z0-9_]+]]: !tile.view
// CHECK-NEXT:    %[[KEEP:[a-z0-9_]+]] = tile.element %[[VIEW]][%[[B]], %[[KROW]]]
// CHECK-NEXT:    return %[[KEEP]]
func.func private @padded(%b: i32, %h: i32, %i: i32, %j: i32, %qrow: i32, %krow: i32, %keep: !tile.view<i1, ["B", "Nk"]>) -> i1 {
  %causal = arith.cmpi sle, %j, %i : i32
  %kept = tile.element %keep[%b, %krow] : !tile.view<i1, ["B", "Nk"]> -> i1
  %both = arith.andi %causal, %kept : i1
  return %both : i1
}
// CHECK-LABEL: func.func @forward
// CHECK:         case 1 {
// CHECK:           %[[ROW:[a-z0-9_]+]] = tile.apply @padded.keys at %{{[-a-z0-9_#]+}}[%{{[-a-z0-9_#]+}}], %{{[-a-z0-9_#]+}}[%[[COLS:[a-z0-9_]+]]] with(%{{.*}}) : <"Nq">, <"Nk"> -> tensor<1x16xi1>
// CHECK-NEXT:      %[[KEPT:[a-z0-9_]+]] = tile.transpose %[[ROW]] : tensor<1x16xi1> -> tensor<16x1xi1>
// CHECK:           tile.load %{{[-a-z0-9_#]+}}[%[[COLS]], %{{[-a-z0-9_#]+}}] where %[[KEPT]] : tensor<16x1xi1>
// A window of other rows is not one of the mask's keys.
// CHECK:           tile.load %{{[-a-z0-9_#]+}}[%{{[-a-z0-9_#]+}}, %{{[-a-z0-9_#]+}}] : <f32, ["Nk", "4"]>
// CHECK:         default {
// CHECK-NOT:       where
// CHECK:         return
func.func @forward(%x: !tile.view<f32, ["Nk", "4"]>, %qpos: !tile.positions<"Nq">, %kpos: !tile.positions<"Nk">, %rows: i32, %keep: !tile.view<i1, ["B", "Nk"]>) attributes {tile.kernel} {
  %c0 = arith.constant 0 : i32
  %nk = tile.extent "Nk"
  %zero = arith.constant dense<0.0> : tensor<16x4xf32>
  %r = tile.masked_for @padded over 1 from %c0 to %nk step 16 at %qpos, %kpos fixed %rows with (%keep : !tile.view<i1, ["B", "Nk"]>) init(%zero : tensor<16x4xf32>)
      : !tile.positions<"Nq">, !tile.positions<"Nk"> -> tensor<16x4xf32> {
  ^bb0(%cols: i32, %seen: tensor<8x16xi1>, %acc: tensor<16x4xf32>):
    %t = tile.load %x[%cols, %c0] : !tile.view<f32, ["Nk", "4"]> -> tensor<16x4xf32>
    %u = tile.load %x[%c0, %c0] : !tile.view<f32, ["Nk", "4"]> -> tensor<16x4xf32>
    %s = arith.addf %acc, %t : tensor<16x4xf32>
    %w = arith.addf %s, %u : tensor<16x4xf32>
    tile.yield %w : tensor<16x4xf32>
  }
  return
}
// Keys fixed: the window before the loop leaves them out, unless somebody else reads it.
// CHECK-LABEL: func.func @backward
// CHECK:         %[[ROW:[a-z0-9_]+]] = tile.apply @padded.keys at %{{[-a-z0-9_#]+}}[%{{[-a-z0-9_#]+}}], %{{[-a-z0-9_#]+}}[%[[COLS:[a-z0-9_]+]]] with(%{{.*}}) : <"Nq">, <"Nk"> -> tensor<1x16xi1>
// CHECK:         %[[KEPT:[a-z0-9_]+]] = tile.transpose %[[ROW]]
// CHECK:         tile.load %[[K:[a-z0-9_]+]][%[[COLS]], %{{[-a-z0-9_#]+}}] where %[[KEPT]] : tensor<16x1xi1>
// CHECK:         tile.load %[[V:[a-z0-9_]+]][%[[COLS]], %{{[-a-z0-9_#]+}}] : <f32, ["Nk", "4"]>
// CHECK:         scf.for
// CHECK:         return
func.func @backward(%k: !tile.view<f32, ["Nk", "4"]>, %v: !tile.view<f32, ["Nk", "4"]>, %qpos: !tile.positions<"Nq">, %kpos: !tile.positions<"Nk">, %cols: i32, %keep: !tile.view<i1, ["B", "Nk"]>) attributes {tile.kernel} {
  %c0 = arith.constant 0 : i32
  %nq = tile.extent "Nq"
  %kt = tile.load %k[%cols, %c0] : !tile.view<f32, ["Nk", "4"]> -> tensor<16x4xf32>
  %ktt = tile.transpose %kt : tensor<16x4xf32> -> tensor<4x16xf32>
  %vt = tile.load %v[%cols, %c0] : !tile.view<f32, ["Nk", "4"]> -> tensor<16x4xf32>
  %zero = arith.constant dense<0.0> : tensor<4x16xf32>
  %r = tile.masked_for @padded over 0 from %c0 to %nq step 8 at %qpos, %kpos fixed %cols with (%keep : !tile.view<i1, ["B", "Nk"]>) init(%zero : tensor<4x16xf32>)
      : !tile.positions<"Nq">, !tile.positions<"Nk"> -> tensor<4x16xf32> {
  ^bb0(%rows: i32, %seen: tensor<8x16xi1>, %acc: tensor<4x16xf32>):
    %s = arith.addf %acc, %ktt : tensor<4x16xf32>
    %vtt = tile.transpose %vt : tensor<16x4xf32> -> tensor<4x16xf32>
    %w = arith.addf %s, %vtt : tensor<4x16xf32>
    tile.yield %w : tensor<4x16xf32>
  }
  tile.store %vt, %v[%cols, %c0] : tensor<16x4xf32>, !tile.view<f32, ["Nk", "4"]>
  %rt = tile.transpose %r : tensor<4x16xf32> -> tensor<16x4xf32>
  tile.store %rt, %k[%cols, %c0] : tensor<16x4xf32>, !tile.view<f32, ["Nk", "4"]>
  return
}

// -----

// A window or documents may hide a key from all queries without a term of the key alone: then a tile leaves out the keys that
// none of its queries sees.
func.func private @window(%b: i32, %h: i32, %i: i32, %j: i32, %qrow: i32, %krow: i32, %left: i32) -> i1 {
  %distance = arith.subi %i, %j : i32
  %visible = arith.cmpi sle, %distance, %left : i32
  return %visible : i1
}
// CHECK-NOT:   @window.keys
// CHECK-LABEL: func.func @window_forward
// CHECK:         case 1 {
// CHECK:           %[[SEEN:[a-z0-9_]+]] = tile.apply @window
// CHECK:           %[[ONES:[a-z0-9_]+]] = arith.select %[[SEEN]], %{{[-a-z0-9_#]+}}, %{{[-a-z0-9_#]+}} : tensor<8x16xi1>, tensor<8x16xf32>
// CHECK:           %[[MOST:[a-z0-9_]+]] = tile.reduce max %[[ONES]] axis 0 : tensor<8x16xf32> -> tensor<1x16xf32>
// CHECK:           %[[ANY:[a-z0-9_]+]] = arith.cmpf ogt, %[[MOST]]
// CHECK:           %[[KEPT:[a-z0-9_]+]] = tile.transpose %[[ANY]] : tensor<1x16xi1> -> tensor<16x1xi1>
// CHECK:           tile.load %{{.*}} where %[[KEPT]] : tensor<16x1xi1>
// CHECK:         default {
// CHECK-NOT:       where
// CHECK:         return
func.func @window_forward(%x: !tile.view<f32, ["Nk", "4"]>, %qpos: !tile.positions<"Nq">, %kpos: !tile.positions<"Nk">, %rows: i32, %left: i32) attributes {tile.kernel} {
  %c0 = arith.constant 0 : i32
  %nk = tile.extent "Nk"
  %zero = arith.constant dense<0.0> : tensor<16x4xf32>
  %r = tile.masked_for @window over 1 from %c0 to %nk step 16 at %qpos, %kpos fixed %rows with (%left : i32) init(%zero : tensor<16x4xf32>)
      : !tile.positions<"Nq">, !tile.positions<"Nk"> -> tensor<16x4xf32> {
  ^bb0(%cols: i32, %seen: tensor<8x16xi1>, %acc: tensor<16x4xf32>):
    %t = tile.load %x[%cols, %c0] : !tile.view<f32, ["Nk", "4"]> -> tensor<16x4xf32>
    %s = arith.addf %acc, %t : tensor<16x4xf32>
    tile.yield %s : tensor<16x4xf32>
  }
  return
}

// -----

// Negative twin: prefix shows every key to the last query.
func.func private @prefix(%b: i32, %h: i32, %i: i32, %j: i32, %qrow: i32, %krow: i32, %prefix: i32) -> i1 {
  %causal = arith.cmpi sge, %i, %j : i32
  %early = arith.cmpi slt, %j, %prefix : i32
  %visible = arith.ori %causal, %early : i1
  return %visible : i1
}
// CHECK-LABEL: func.func @prefix_forward
// CHECK-NOT:     where
// CHECK:         return
func.func @prefix_forward(%x: !tile.view<f32, ["Nk", "4"]>, %qpos: !tile.positions<"Nq">, %kpos: !tile.positions<"Nk">, %rows: i32, %prefix: i32) attributes {tile.kernel} {
  %c0 = arith.constant 0 : i32
  %nk = tile.extent "Nk"
  %zero = arith.constant dense<0.0> : tensor<16x4xf32>
  %r = tile.masked_for @prefix over 1 from %c0 to %nk step 16 at %qpos, %kpos fixed %rows with (%prefix : i32) init(%zero : tensor<16x4xf32>)
      : !tile.positions<"Nq">, !tile.positions<"Nk"> -> tensor<16x4xf32> {
  ^bb0(%cols: i32, %seen: tensor<8x16xi1>, %acc: tensor<16x4xf32>):
    %t = tile.load %x[%cols, %c0] : !tile.view<f32, ["Nk", "4"]> -> tensor<16x4xf32>
    %s = arith.addf %acc, %t : tensor<16x4xf32>
    tile.yield %s : tensor<16x4xf32>
  }
  return
}
