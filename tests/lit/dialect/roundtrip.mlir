// Every operation prints as it is read. The examples of Tile.td are here.
// RUN: ringc-opt %s | ringc-opt | FileCheck %s
// RUN: ringc-opt --mlir-print-op-generic %s | ringc-opt | FileCheck %s

func.func private @mask(%b: i32, %h: i32, %i: i32, %j: i32, %qrow: i32, %krow: i32, %left: i32) -> i1 {
  %true = arith.constant true
  return %true : i1
}
func.func private @shown(%b: i32, %h0: i32, %h1: i32, %i0: i32, %i1: i32, %j0: i32, %j1: i32, %q0: i32, %q1: i32, %k0: i32, %k1: i32, %left: i32) -> i32 {
  return %b : i32
}
// CHECK-LABEL: func.func private @score
func.func private @score(%s: f32, %b: i32, %h: i32, %i: i32, %j: i32, %qrow: i32, %krow: i32, %slope: !tile.view<f32, ["H"]>) -> f32 {
  // CHECK: tile.element %{{.*}}[%{{.*}}] inside [0] : <f32, ["H"]> -> f32
  %w = tile.element %slope[%h] inside [0] : !tile.view<f32, ["H"]> -> f32
  return %w : f32
}

// CHECK-LABEL: func.func @windows(
// CHECK-SAME:    !tile.view<bf16, ["Nq", "64"]> {tile.name = "q"}
func.func @windows(%q: !tile.view<bf16, ["Nq", "64"]> {tile.name = "q"}, %lse: !tile.view<f32, ["Nq"]>, %out: !tile.view<f32, ["Nq", "64"]>) attributes {tile.kernel, tile.grid = [["Nq", 64]]} {
  // CHECK: %[[ROWS:.*]] = tile.program_id 0
  %rows = tile.program_id 0
  // CHECK: tile.extent "Nk"
  %nk = tile.extent "Nk"
  %c0 = arith.constant 0 : i32
  // CHECK: tile.load %{{.*}}[%[[ROWS]], %{{.*}}] : <bf16, ["Nq", "64"]> -> tensor<64x64xbf16>
  %t = tile.load %q[%rows, %c0] : !tile.view<bf16, ["Nq", "64"]> -> tensor<64x64xbf16>
  %fill = arith.constant 0xFF80 : bf16
  %keep = arith.constant dense<true> : tensor<64x1xi1>
  // CHECK: tile.load %{{.*}}[%[[ROWS]], %{{.*}}] else %{{.*}} : bf16 where %{{.*}} : tensor<64x1xi1> : <bf16, ["Nq", "64"]> -> tensor<64x64xbf16>
  %u = tile.load %q[%rows, %c0] else %fill : bf16 where %keep : tensor<64x1xi1> : !tile.view<bf16, ["Nq", "64"]> -> tensor<64x64xbf16>
  // CHECK: tile.load %{{.*}}[%[[ROWS]]] : <f32, ["Nq"]> -> tensor<64x1xf32>
  %l = tile.load %lse[%rows] : !tile.view<f32, ["Nq"]> -> tensor<64x1xf32>
  %w = arith.extf %t : tensor<64x64xbf16> to tensor<64x64xf32>
  // CHECK: tile.store %{{.*}}, %{{.*}}[%[[ROWS]], %{{.*}}] : tensor<64x64xf32>, <f32, ["Nq", "64"]>
  tile.store %w, %out[%rows, %c0] : tensor<64x64xf32>, !tile.view<f32, ["Nq", "64"]>
  // CHECK: tile.store add %{{.*}}, %{{.*}}[%[[ROWS]], %{{.*}}]
  tile.store add %w, %out[%rows, %c0] : tensor<64x64xf32>, !tile.view<f32, ["Nq", "64"]>
  return
}

// CHECK-LABEL: func.func @places(
func.func @places(%part: !tile.view<f32, ["P", "Nq", "64"]>, %table: !tile.view<i32, ["B", "C"]>, %ids: tensor<16x1xi32>, %p: i32) {
  %c0 = arith.constant 0 : i32
  // CHECK: %[[B:.*]] = tile.own_index "B"
  %b = tile.own_index "B"
  // CHECK: %[[PAGE:.*]] = tile.element %{{.*}}[%[[B]], %{{.*}}] else %{{.*}} : i32 inside [0] : <i32, ["B", "C"]> -> i32
  %page = tile.element %table[%b, %p] else %c0 : i32 inside [0] : !tile.view<i32, ["B", "C"]> -> i32
  // CHECK: %[[SLICE:.*]] = tile.slice %{{.*}}[%{{.*}}] axes [0] : <f32, ["P", "Nq", "64"]> -> <f32, ["Nq", "64"]>
  %slice = tile.slice %part[%p] axes [0] : !tile.view<f32, ["P", "Nq", "64"]> -> !tile.view<f32, ["Nq", "64"]>
  // CHECK: tile.slice %{{.*}}[%[[B]]] axes [0] inside [0] : <i32, ["B", "C"]> -> <i32, ["C"]>
  %own = tile.slice %table[%b] axes [0] inside [0] : !tile.view<i32, ["B", "C"]> -> !tile.view<i32, ["C"]>
  // CHECK: tile.load %[[SLICE]][%[[PAGE]], %{{.*}}] {of_keys} : <f32, ["Nq", "64"]> -> tensor<16x64xf32>
  %k = tile.load %slice[%page, %c0] {of_keys} : !tile.view<f32, ["Nq", "64"]> -> tensor<16x64xf32>
  // CHECK: %[[T:.*]] = tile.load %[[SLICE]][%{{.*}}, %{{.*}}] rows %{{.*}} : tensor<16x1xi32> : <f32, ["Nq", "64"]> -> tensor<16x64xf32>
  %t = tile.load %slice[%c0, %c0] rows %ids : tensor<16x1xi32> : !tile.view<f32, ["Nq", "64"]> -> tensor<16x64xf32>
  // CHECK: tile.store add %[[T]], %[[SLICE]][%{{.*}}, %{{.*}}] rows %{{.*}} : tensor<16x1xi32> : tensor<16x64xf32>, <f32, ["Nq", "64"]>
  tile.store add %t, %slice[%c0, %c0] rows %ids : tensor<16x1xi32> : tensor<16x64xf32>, !tile.view<f32, ["Nq", "64"]>
  return
}

// CHECK-LABEL: func.func @tiles
func.func @tiles(%x: f32, %a: tensor<64x32xbf16>, %b: tensor<32x128xbf16>, %acc: tensor<64x128xf32>) {
  // CHECK: tile.splat %{{.*}} : f32 -> tensor<64x1xf32>
  %c = tile.splat %x : f32 -> tensor<64x1xf32>
  // CHECK: tile.broadcast %{{.*}} : tensor<64x1xf32> -> tensor<64x128xf32>
  %w = tile.broadcast %c : tensor<64x1xf32> -> tensor<64x128xf32>
  // CHECK: tile.transpose %{{.*}} : tensor<64x128xf32> -> tensor<128x64xf32>
  %t = tile.transpose %w : tensor<64x128xf32> -> tensor<128x64xf32>
  // CHECK: tile.dot %{{.*}}, %{{.*}} : tensor<64x32xbf16>, tensor<32x128xbf16> -> tensor<64x128xf32>
  %d = tile.dot %a, %b : tensor<64x32xbf16>, tensor<32x128xbf16> -> tensor<64x128xf32>
  // CHECK: tile.dot %{{.*}}, %{{.*}} acc(%{{.*}} : tensor<64x128xf32>) : tensor<64x32xbf16>
  %e = tile.dot %a, %b acc(%acc : tensor<64x128xf32>) : tensor<64x32xbf16>, tensor<32x128xbf16> -> tensor<64x128xf32>
  // CHECK: tile.reduce max %{{.*}} axis 1 : tensor<64x128xf32> -> tensor<64x1xf32>
  %m = tile.reduce max %d axis 1 : tensor<64x128xf32> -> tensor<64x1xf32>
  // CHECK: tile.reduce sum %{{.*}} axis 0 : tensor<64x128xf32> -> tensor<1x128xf32>
  %s = tile.reduce sum %d axis 0 : tensor<64x128xf32> -> tensor<1x128xf32>
  %zero = arith.constant dense<0.0> : tensor<64x1xf32>
  %positive = arith.cmpf ogt, %m, %zero : tensor<64x1xf32>
  // CHECK: tile.shortcut %{{.*}}, %{{.*}}, %{{.*}} : tensor<64x1xi1>, tensor<64x128xf32>
  %q = tile.shortcut %positive, %d, %e : tensor<64x1xi1>, tensor<64x128xf32>
  // CHECK: tile.all %{{.*}} : tensor<64x1xi1>
  %every = tile.all %positive : tensor<64x1xi1>
  return
}

// CHECK-LABEL: func.func @positions
func.func @positions(%qpos: !tile.positions<"Nq">, %kpos: !tile.positions<"Nk">, %rows: i32, %left: i32, %slope: !tile.view<f32, ["H"]>, %s: tensor<8x16xf32>, %state: !tile.carry) {
  %c0 = arith.constant 0 : i32
  // CHECK: tile.apply @mask at %{{.*}}[%{{.*}}], %{{.*}}[%{{.*}}] with(%{{.*}} : i32) : <"Nq">, <"Nk"> -> tensor<8x16xi1>
  %p = tile.apply @mask at %qpos[%rows], %kpos[%c0] with (%left : i32) : !tile.positions<"Nq">, !tile.positions<"Nk"> -> tensor<8x16xi1>
  // CHECK: tile.apply @score(%{{.*}} : tensor<8x16xf32>) at
  %t = tile.apply @score(%s : tensor<8x16xf32>) at %qpos[%rows], %kpos[%c0] with (%slope : !tile.view<f32, ["H"]>) : !tile.positions<"Nq">, !tile.positions<"Nk"> -> tensor<8x16xf32>
  // CHECK: tile.apply derivative @score(
  %d = tile.apply derivative @score(%s : tensor<8x16xf32>) at %qpos[%rows], %kpos[%c0] with (%slope : !tile.view<f32, ["H"]>) : !tile.positions<"Nq">, !tile.positions<"Nk"> -> tensor<8x16xf32>
  // CHECK: tile.visibility @shown over 1 at %{{.*}}[%{{.*}} : 8], %{{.*}}[%{{.*}} : 16] with(%{{.*}} : i32) : <"Nq">, <"Nk">
  %v = tile.visibility @shown over 1 at %qpos[%rows : 8], %kpos[%c0 : 16] with (%left : i32) : !tile.positions<"Nq">, !tile.positions<"Nk">
  // CHECK: tile.resume %{{.*}} else(%{{.*}}) : tensor<8x16xf32>
  %r = tile.resume %state else (%s) : tensor<8x16xf32>
  %nk = tile.extent "Nk"
  // CHECK: tile.masked_for @mask over 1 from %{{.*}} to %{{.*}} step 16 at %{{.*}}, %{{.*}} fixed %{{.*}} with(%{{.*}} : i32) init(%{{.*}} : tensor<8x16xf32>) : <"Nq">, <"Nk"> -> tensor<8x16xf32> {
  // CHECK-NEXT: ^bb0(%{{.*}}: i32, %{{.*}}: tensor<8x16xi1>, %{{.*}}: tensor<8x16xf32>):
  // CHECK-NEXT:   tile.yield %{{.*}} : tensor<8x16xf32>
  %f = tile.masked_for @mask over 1 from %c0 to %nk step 16 at %qpos, %kpos fixed %rows with (%left : i32) init(%r : tensor<8x16xf32>)
      : !tile.positions<"Nq">, !tile.positions<"Nk"> -> tensor<8x16xf32> {
  ^bb0(%cols: i32, %seen: tensor<8x16xi1>, %acc: tensor<8x16xf32>):
    tile.yield %acc : tensor<8x16xf32>
  }
  // CHECK: tile.finish %{{.*}}(%{{.*}} : tensor<8x16xf32>) {
  // CHECK-NEXT: }
  tile.finish %state(%f : tensor<8x16xf32>) {
    tile.yield
  }
  return
}

// CHECK-LABEL: func.func @values(
func.func @values(%qpos: !tile.positions<"Nq">, %rows: i32, %seed: i32) -> (tensor<64x1xf32>, f32) {
  // CHECK: tile.iota : tensor<64x1xi32>
  %n = tile.iota : tensor<64x1xi32>
  // CHECK: tile.position %{{.*}}[%{{.*}}] : <"Nq"> -> tensor<64x1xi32>
  %i = tile.position %qpos[%rows] : !tile.positions<"Nq"> -> tensor<64x1xi32>
  // CHECK: tile.random %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} : tensor<64x1xi32> -> tensor<64x1xf32>
  %t = tile.random %n, %n, %n, %i, %n : tensor<64x1xi32> -> tensor<64x1xf32>
  // CHECK: tile.random %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} : i32 -> f32
  %s = tile.random %seed, %rows, %rows, %rows, %rows : i32 -> f32
  return %t, %s : tensor<64x1xf32>, f32
}
