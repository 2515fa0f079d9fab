// The functions that say what a mask shows of a window.
// RUN: ringc-opt --to-split --split-input-file %s | FileCheck %s

// Elements indexed by rows: bounds over the rows of the window, in a loop.
// CHECK-LABEL: func.func private @mask.visibility(
// CHECK-SAME:    %[[FIRST_Q:[a-z0-9_]+]]: i32, %[[LAST_Q:[a-z0-9_]+]]: i32, %[[FIRST_K:[a-z0-9_]+]]: i32, %[[LAST_K:[a-z0-9_]+]]: i32, %[[QDOC:[a-z0-9_]+]]: !tile.view<i32, ["Nq"]>, %[[KDOC:[a-z0-9_]+]]: !tile.view<i32, ["Nk"]>)
// CHECK-DAG:     %[[ONE:[a-z0-9_]+]] = arith.constant 1 : i32
// CHECK:         %[[QEND:[a-z0-9_]+]] = arith.addi %[[LAST_Q]], %[[ONE]]
// CHECK:         scf.for %[[Q:[a-z0-9_]+]] = %[[FIRST_Q]] to %[[QEND]] step %[[ONE]] iter_args(%[[LOW:[a-z0-9_]+]] = %{{[-a-z0-9_#]+}}, %[[HIGH:[a-z0-9_]+]] = %{{[-a-z0-9_#]+}})
// CHECK:           %[[VALUE:[a-z0-9_]+]] = tile.element %[[QDOC]][%[[Q]]] inside [0]
// CHECK:           %[[WIDE:[a-z0-9_]+]] = arith.extsi %[[VALUE]]
// CHECK-DAG:       arith.minsi %[[LOW]], %[[WIDE]]
// CHECK-DAG:       arith.maxsi %[[HIGH]], %[[WIDE]]
// CHECK:         scf.for %[[K:[a-z0-9_]+]] = %[[FIRST_K]] to
// CHECK:           tile.element %[[KDOC]][%[[K]]] inside [0]
// CHECK:         return
func.func private @mask(%b: i32, %h: i32, %i: i32, %j: i32, %qrow: i32, %krow: i32, %qdoc: !tile.view<i32, ["Nq"]>, %kdoc: !tile.view<i32, ["Nk"]>) -> i1 {
  %x = tile.element %qdoc[%qrow] : !tile.view<i32, ["Nq"]> -> i32
  %y = tile.element %kdoc[%krow] : !tile.view<i32, ["Nk"]> -> i32
  %same = arith.cmpi eq, %x, %y : i32
  return %same : i1
}
func.func @kernel(%qpos: !tile.positions<"Nq">, %kpos: !tile.positions<"Nk">, %rows: i32, %qdoc: !tile.view<i32, ["Nq"]>, %kdoc: !tile.view<i32, ["Nk"]>, %out: !tile.view<f32, ["Nq", "16"]>) attributes {tile.kernel} {
  %c0 = arith.constant 0 : i32
  %nk = tile.extent "Nk"
  %zero = arith.constant dense<0.0> : tensor<8x16xf32>
  %one = arith.constant dense<1.0> : tensor<8x16xf32>
  %r = tile.masked_for @mask over 1 from %c0 to %nk step 16 at %qpos, %kpos fixed %rows with (%qdoc, %kdoc : !tile.view<i32, ["Nq"]>, !tile.view<i32, ["Nk"]>) init(%zero : tensor<8x16xf32>)
      : !tile.positions<"Nq">, !tile.positions<"Nk"> -> tensor<8x16xf32> {
  ^bb0(%cols: i32, %seen: tensor<8x16xi1>, %acc: tensor<8x16xf32>):
    %t = arith.select %seen, %one, %acc : tensor<8x16xi1>, tensor<8x16xf32>
    tile.yield %t : tensor<8x16xf32>
  }
  tile.store %r, %out[%rows, %c0] : tensor<8x16xf32>, !tile.view<f32, ["Nq", "16"]>
  return
}

// -----

// The remainder, a - a / b * b, is seen as one: no tile of `dilated` is full, and none is read wrongly.
// CHECK-LABEL: func.func private @mask.visibility(
// CHECK:         arith.floordivsi
// CHECK:         return
func.func private @mask(%b: i32, %h: i32, %i: i32, %j: i32, %qrow: i32, %krow: i32, %step: i32, %reach: !tile.view<i32, ["H"]>) -> i1 {
  %c0 = arith.constant 0 : i32
  %d = arith.subi %i, %j : i32
  %q = arith.floordivsi %d, %step : i32
  %p = arith.muli %q, %step : i32
  %m = arith.subi %d, %p : i32
  %hit = arith.cmpi eq, %m, %c0 : i32
  %far = tile.element %reach[%h] : !tile.view<i32, ["H"]> -> i32
  %near = arith.cmpi slt, %d, %far : i32
  %both = arith.andi %hit, %near : i1
  return %both : i1
}
func.func @kernel(%qpos: !tile.positions<"Nq">, %kpos: !tile.positions<"Nk">, %rows: i32, %step: i32, %reach: !tile.view<i32, ["H"]>, %out: !tile.view<f32, ["Nq", "16"]>) attributes {tile.kernel} {
  %c0 = arith.constant 0 : i32
  %nk = tile.extent "Nk"
  %zero = arith.constant dense<0.0> : tensor<8x16xf32>
  %one = arith.constant dense<1.0> : tensor<8x16xf32>
  %r = tile.masked_for @mask over 1 from %c0 to %nk step 16 at %qpos, %kpos fixed %rows with (%step, %reach : i32, !tile.view<i32, ["H"]>) init(%zero : tensor<8x16xf32>)
      : !tile.positions<"Nq">, !tile.positions<"Nk"> -> tensor<8x16xf32> {
  ^bb0(%cols: i32, %seen: tensor<8x16xi1>, %acc: tensor<8x16xf32>):
    %t = arith.select %seen, %one, %acc : tensor<8x16xi1>, tensor<8x16xf32>
    tile.yield %t : tensor<8x16xf32>
  }
  tile.store %r, %out[%rows, %c0] : tensor<8x16xf32>, !tile.view<f32, ["Nq", "16"]>
  return
}

// -----

// Negative twin: an operation that expressions lack. Every tile is partial, none is skipped.
// CHECK-LABEL: func.func private @mask.visibility(
// CHECK-NEXT:    %[[PART:[a-z0-9_]+]] = arith.constant 1 : i32
// CHECK-NEXT:    return %[[PART]]
func.func private @mask(%b: i32, %h: i32, %i: i32, %j: i32, %qrow: i32, %krow: i32) -> i1 {
  %c1 = arith.constant 1 : i32
  %odd = arith.andi %j, %c1 : i32
  %is = arith.cmpi eq, %odd, %c1 : i32
  return %is : i1
}
func.func @kernel(%qpos: !tile.positions<"Nq">, %kpos: !tile.positions<"Nk">, %rows: i32, %out: !tile.view<f32, ["Nq", "16"]>) attributes {tile.kernel} {
  %c0 = arith.constant 0 : i32
  %nk = tile.extent "Nk"
  %zero = arith.constant dense<0.0> : tensor<8x16xf32>
  %one = arith.constant dense<1.0> : tensor<8x16xf32>
  %r = tile.masked_for @mask over 1 from %c0 to %nk step 16 at %qpos, %kpos fixed %rows init(%zero : tensor<8x16xf32>)
      : !tile.positions<"Nq">, !tile.positions<"Nk"> -> tensor<8x16xf32> {
  ^bb0(%cols: i32, %seen: tensor<8x16xi1>, %acc: tensor<8x16xf32>):
    %t = arith.select %seen, %one, %acc : tensor<8x16xi1>, tensor<8x16xf32>
    tile.yield %t : tensor<8x16xf32>
  }
  tile.store %r, %out[%rows, %c0] : tensor<8x16xf32>, !tile.view<f32, ["Nq", "16"]>
  return
}
