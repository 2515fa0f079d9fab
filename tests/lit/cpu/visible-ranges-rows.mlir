// Where the hidden factor's axis is the rows of the result and not its lanes, each block of rows leaves out terms of its own.
// RUN: ringc-opt --split-loops --canonicalize --cse --lower-to-vector %s | FileCheck %s --implicit-check-not="= tile."

func.func private @causal(%b: i32, %h: i32, %i: i32, %j: i32, %qrow: i32, %krow: i32) -> i1 {
  %visible = arith.cmpi sle, %j, %i : i32
  return %visible : i1
}

// CHECK-LABEL: func.func @gather(
// CHECK:         scf.index_switch
// CHECK:         case 1 {
// For every 16 keys: from the first to behind the last 16 queries that see any of them. These are the lanes of the scores
// and of the sum over queries.
// CHECK:           %[[BYKEYS:.*]]:2 = scf.for {{.*}} -> (i64, i64)
// CHECK:           llvm.store %[[BYKEYS]]#0
// CHECK:           llvm.store %[[BYKEYS]]#1
// The weights: what a key's queries leave out the sum over keys may read, and finds zeros.
// CHECK:           llvm.intr.fma
// CHECK:           %[[FIRSTROW:.*]] = llvm.load {{.*}} -> i64
// CHECK:           %[[ENDROW:.*]] = llvm.load {{.*}} -> i64
// CHECK:           scf.for %{{.*}} = %c0_{{.*}} to %[[FIRSTROW]] step
// CHECK:             llvm.store
// CHECK:           scf.for %{{.*}} = %[[ENDROW]] to %c32_{{.*}} step
// CHECK:             llvm.store
// CHECK:           scf.for %{{.*}} = %[[FIRSTROW]] to %[[ENDROW]] step
// CHECK:             arith.select {{.*}} : vector<8xi1>, vector<8xf32>
// For every 16 queries likewise: the rows of the sum over keys. Each block of rows asks, and lies in one range.
// CHECK:           %[[BYQUERIES:.*]]:2 = scf.for {{.*}} -> (i64, i64)
// CHECK:           llvm.store %[[BYQUERIES]]#0
// CHECK:           llvm.store %[[BYQUERIES]]#1
// CHECK:           scf.for %[[ROW:[a-z0-9]+]] = %{{.*}} to %{{.*}} step %c4_
// CHECK:             arith.divui %[[ROW]], %{{.*}} : i64
// CHECK:             %[[FIRST:.*]] = llvm.load {{.*}} -> i64
// CHECK:             %[[END:.*]] = llvm.load {{.*}} -> i64
// CHECK:             scf.for %{{.*}} = %[[FIRST]] to %[[END]] step
// CHECK:               llvm.intr.fma
// CHECK:         default {
// CHECK-NOT:       llvm.load {{.*}} -> i64
// CHECK:         return
func.func @gather(%q: !tile.view<f32, ["Nq", "16"]> {tile.name = "q"}, %k: !tile.view<f32, ["Nk", "16"]> {tile.name = "k"}, %x: !tile.view<f32, ["Nq", "16"]> {tile.name = "x"}, %y: !tile.view<f32, ["Nk", "16"]> {tile.name = "y"}, %qpos: !tile.positions<"Nq"> {tile.name = "qpos", tile.layout = "contiguous"}, %kpos: !tile.positions<"Nk"> {tile.name = "kpos", tile.layout = "contiguous"}) attributes {tile.grid = [["Nk", 32]], tile.group = 1 : i64, tile.kernel, tile.per_head} {
  %c0 = arith.constant 0 : i32
  %c32 = arith.constant 32 : i32
  %p = tile.program_id 0
  %keys = arith.muli %p, %c32 : i32
  %nq = tile.extent "Nq"
  %zero = arith.constant dense<0.0> : tensor<32x32xf32>
  %none = arith.constant dense<0.0> : tensor<32x16xf32>
  %kt = tile.load %k[%keys, %c0] : !tile.view<f32, ["Nk", "16"]> -> tensor<32x16xf32>
  %sums = tile.masked_for @causal over 0 from %c0 to %nq step 32 at %qpos, %kpos fixed %keys init(%none : tensor<32x16xf32>)
      : !tile.positions<"Nq">, !tile.positions<"Nk"> -> tensor<32x16xf32> {
  ^bb0(%rows: i32, %seen: tensor<32x32xi1>, %acc: tensor<32x16xf32>):
    %qt = tile.load %q[%rows, %c0] : !tile.view<f32, ["Nq", "16"]> -> tensor<32x16xf32>
    %turned = tile.transpose %kt : tensor<32x16xf32> -> tensor<16x32xf32>
    %s = tile.dot %qt, %turned : tensor<32x16xf32>, tensor<16x32xf32> -> tensor<32x32xf32>
    %weights = arith.select %seen, %s, %zero : tensor<32x32xi1>, tensor<32x32xf32>
    %crossed = tile.transpose %weights : tensor<32x32xf32> -> tensor<32x32xf32>
    %next = tile.dot %crossed, %qt acc(%acc : tensor<32x16xf32>) : tensor<32x32xf32>, tensor<32x16xf32> -> tensor<32x16xf32>
    %other = tile.dot %weights, %kt : tensor<32x32xf32>, tensor<32x16xf32> -> tensor<32x16xf32>
    tile.store add %other, %x[%rows, %c0] : tensor<32x16xf32>, !tile.view<f32, ["Nq", "16"]>
    tile.yield %next : tensor<32x16xf32>
  }
  tile.store %sums, %y[%keys, %c0] : tensor<32x16xf32>, !tile.view<f32, ["Nk", "16"]>
  return
}
