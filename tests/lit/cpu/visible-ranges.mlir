// Products of a partial tile leave out what the mask hides: rows of the scores, terms of the sum.
// RUN: ringc-opt --split-loops --canonicalize --cse --lower-to-vector %s | FileCheck %s --implicit-check-not="= tile."

func.func private @causal(%b: i32, %h: i32, %i: i32, %j: i32, %qrow: i32, %krow: i32) -> i1 {
  %visible = arith.cmpi sle, %j, %i : i32
  return %visible : i1
}

// CHECK-LABEL: func.func @weigh(
// CHECK:         scf.index_switch
// CHECK:         case 1 {
// For every 16 queries: from the first to behind the last 16 keys of which they see any.
// CHECK:           %[[RANGE:.*]]:2 = scf.for {{.*}} iter_args(%[[FIRST:.*]] = %{{.*}}, %[[END:.*]] = %{{.*}}) -> (i64, i64)
// CHECK:             arith.select {{.*}}, %[[FIRST]] : i64
// CHECK:             arith.select {{.*}}, %[[END]] : i64
// CHECK:           llvm.store %[[RANGE]]#0
// CHECK:           llvm.store %[[RANGE]]#1
// The scores: a loop over rows (keys) between them.
// CHECK:           %[[LOWEST:.*]] = llvm.load {{.*}} -> i64
// CHECK:           %[[HIGHEST:.*]] = llvm.load {{.*}} -> i64
// CHECK:           %[[BLOCKS:.*]] = arith.minsi %[[HIGHEST]]
// CHECK:           scf.for %{{.*}} = %{{.*}} to %[[BLOCKS]] step
// CHECK:             llvm.intr.fma
// The sum: a loop over terms (keys) between them.
// CHECK:           %[[FIRSTTERM:.*]] = llvm.load {{.*}} -> i64
// CHECK:           %[[ENDTERM:.*]] = llvm.load {{.*}} -> i64
// CHECK:           scf.for %{{.*}} = %[[FIRSTTERM]] to %[[ENDTERM]] step
// CHECK:             llvm.intr.fma
// CHECK:         default {
// CHECK-NOT:       llvm.load {{.*}} -> i64
// CHECK:         return
func.func @weigh(%q: !tile.view<f32, ["Nq", "8"]> {tile.name = "q"}, %k: !tile.view<f32, ["Nk", "8"]> {tile.name = "k"}, %y: !tile.view<f32, ["Nq", "8"]> {tile.name = "y"}, %qpos: !tile.positions<"Nq"> {tile.name = "qpos", tile.layout = "contiguous"}, %kpos: !tile.positions<"Nk"> {tile.name = "kpos", tile.layout = "contiguous"}) attributes {tile.grid = [["Nq", 32]], tile.group = 1 : i64, tile.kernel, tile.per_head} {
  %c0 = arith.constant 0 : i32
  %c32 = arith.constant 32 : i32
  %p = tile.program_id 0
  %rows = arith.muli %p, %c32 : i32
  %nk = tile.extent "Nk"
  %zero = arith.constant dense<0.0> : tensor<32x32xf32>
  %none = arith.constant dense<0.0> : tensor<32x8xf32>
  %qt = tile.load %q[%rows, %c0] : !tile.view<f32, ["Nq", "8"]> -> tensor<32x8xf32>
  %sums = tile.masked_for @causal over 1 from %c0 to %nk step 32 at %qpos, %kpos fixed %rows init(%none : tensor<32x8xf32>)
      : !tile.positions<"Nq">, !tile.positions<"Nk"> -> tensor<32x8xf32> {
  ^bb0(%cols: i32, %seen: tensor<32x32xi1>, %acc: tensor<32x8xf32>):
    %kt = tile.load %k[%cols, %c0] : !tile.view<f32, ["Nk", "8"]> -> tensor<32x8xf32>
    %turned = tile.transpose %kt : tensor<32x8xf32> -> tensor<8x32xf32>
    %s = tile.dot %qt, %turned : tensor<32x8xf32>, tensor<8x32xf32> -> tensor<32x32xf32>
    %twice = arith.addf %s, %s : tensor<32x32xf32>
    %weights = arith.select %seen, %twice, %zero : tensor<32x32xi1>, tensor<32x32xf32>
    %next = tile.dot %weights, %kt acc(%acc : tensor<32x8xf32>) : tensor<32x32xf32>, tensor<32x8xf32> -> tensor<32x8xf32>
    tile.yield %next : tensor<32x8xf32>
  }
  tile.store %sums, %y[%rows, %c0] : tensor<32x8xf32>, !tile.view<f32, ["Nq", "8"]>
  return
}
