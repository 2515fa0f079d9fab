// RUN: ringc-opt --derive-score-gradient --split-input-file %s | FileCheck %s

// c * tanh(s / c): the slope is 1 - tanh^2.
// CHECK-LABEL: func.func private @softcap.derivative(
// CHECK-SAME:    %[[S:[a-z0-9_]+]]: f32
// CHECK-SAME:    %[[CAP:[a-z0-9_]+]]: f32) -> f32
// CHECK-DAG:     %[[ONE:[a-z0-9_]+]] = arith.constant 1.000000e+00
// CHECK-DAG:     %[[X:[a-z0-9_]+]] = arith.divf %[[S]], %[[CAP]]
// CHECK-DAG:     %[[DX:[a-z0-9_]+]] = arith.divf %[[ONE]], %[[CAP]]
// CHECK:         %[[T:[a-z0-9_]+]] = math.tanh %[[X]]
// CHECK:         %[[TT:[a-z0-9_]+]] = arith.mulf %[[T]], %[[T]]
// CHECK:         %[[U:[a-z0-9_]+]] = arith.subf %{{[a-z0-9_]+}}, %[[TT]]
// CHECK:         %[[DT:[a-z0-9_]+]] = arith.mulf %[[U]], %[[DX]]
// CHECK:         %[[R:[a-z0-9_]+]] = arith.mulf %[[CAP]], %[[DT]]
// CHECK-NEXT:    return %[[R]]
func.func private @softcap(%s: f32, %b: i32, %h: i32, %i: i32, %j: i32, %qrow: i32, %krow: i32, %cap: f32) -> f32 {
  %x = arith.divf %s, %cap : f32
  %t = math.tanh %x : f32
  %r = arith.mulf %cap, %t : f32
  return %r : f32
}
// CHECK-LABEL: func.func @kernel
// CHECK:         tile.apply @softcap(
// CHECK:         tile.apply @softcap.derivative(
func.func @kernel(%s: tensor<8x16xf32>, %qpos: !tile.positions<"Nq">, %kpos: !tile.positions<"Nk">, %r: i32, %c: i32, %cap: f32) -> (tensor<8x16xf32>, tensor<8x16xf32>) {
  %t = tile.apply @softcap(%s : tensor<8x16xf32>) at %qpos[%r], %kpos[%c] with (%cap : f32) : !tile.positions<"Nq">, !tile.positions<"Nk"> -> tensor<8x16xf32>
  %d = tile.apply derivative @softcap(%s : tensor<8x16xf32>) at %qpos[%r], %kpos[%c] with (%cap : f32) : !tile.positions<"Nq">, !tile.positions<"Nk"> -> tensor<8x16xf32>
  return %t, %d : tensor<8x16xf32>, tensor<8x16xf32>
}

// -----

// What is added from elsewhere has no slope: ALiBi's is 1, and its element is not even read.
// CHECK-LABEL: func.func private @alibi.derivative(
// CHECK-NEXT:    %[[ONE:[a-z0-9_]+]] = arith.constant 1.000000e+00
// CHECK-NEXT:    return %[[ONE]]
func.func private @alibi(%s: f32, %b: i32, %h: i32, %i: i32, %j: i32, %qrow: i32, %krow: i32, %slope: !tile.view<f32, ["H"]>) -> f32 {
  %w = tile.element %slope[%h] : !tile.view<f32, ["H"]> -> f32
  %d = arith.subi %i, %j : i32
  %f = arith.sitofp %d : i32 to f32
  %p = arith.mulf %w, %f : f32
  %r = arith.subf %s, %p : f32
  return %r : f32
}
func.func @kernel(%s: tensor<8x16xf32>, %qpos: !tile.positions<"Nq">, %kpos: !tile.positions<"Nk">, %r: i32, %c: i32, %slope: !tile.view<f32, ["H"]>) -> tensor<8x16xf32> {
  %d = tile.apply derivative @alibi(%s : tensor<8x16xf32>) at %qpos[%r], %kpos[%c] with (%slope : !tile.view<f32, ["H"]>) : !tile.positions<"Nq">, !tile.positions<"Nk"> -> tensor<8x16xf32>
  return %d : tensor<8x16xf32>
}

// -----

// A chain of scores: a call is differentiated through, and a score that names its own derivative is asked for it.
func.func private @twice(%s: f32) -> f32 {
  %r = arith.addf %s, %s : f32
  return %r : f32
}
func.func private @rough(%s: f32) -> f32 attributes {tile.derivative = @smooth} {
  %i = arith.fptosi %s : f32 to i32
  %r = arith.sitofp %i : i32 to f32
  return %r : f32
}
func.func private @smooth(%s: f32) -> f32 {
  %one = arith.constant 1.0 : f32
  return %one : f32
}
// CHECK-LABEL: func.func private @score.derivative(
// CHECK-SAME:    %[[S:[a-z0-9_]+]]: f32
// CHECK-DAG:     %[[TWO:[a-z0-9_]+]] = arith.constant 2.000000e+00
// CHECK-DAG:     %[[V:[a-z0-9_]+]] = arith.addf %[[S]], %[[S]]
// CHECK:         %[[D:[a-z0-9_]+]] = call @smooth(%[[V]])
// CHECK:         %[[R:[a-z0-9_]+]] = arith.mulf %[[D]], %[[TWO]]
// CHECK-NEXT:    return %[[R]]
func.func private @score(%s: f32, %b: i32, %h: i32, %i: i32, %j: i32, %qrow: i32, %krow: i32) -> f32 {
  %a = func.call @twice(%s) : (f32) -> f32
  %r = func.call @rough(%a) : (f32) -> f32
  return %r : f32
}
// Negative twin of all: a whole score with a derivative of its own gets no other.
// CHECK-NOT:   @own.derivative
func.func private @own(%s: f32, %b: i32, %h: i32, %i: i32, %j: i32, %qrow: i32, %krow: i32) -> f32 attributes {tile.derivative = @given} {
  return %s : f32
}
func.func private @given(%s: f32, %b: i32, %h: i32, %i: i32, %j: i32, %qrow: i32, %krow: i32) -> f32 {
  return %s : f32
}
// CHECK-LABEL: func.func @kernel
// CHECK:         tile.apply @score.derivative(
// CHECK:         tile.apply @given(
func.func @kernel(%s: tensor<8x16xf32>, %qpos: !tile.positions<"Nq">, %kpos: !tile.positions<"Nk">, %r: i32, %c: i32) -> (tensor<8x16xf32>, tensor<8x16xf32>) {
  %d = tile.apply derivative @score(%s : tensor<8x16xf32>) at %qpos[%r], %kpos[%c] : !tile.positions<"Nq">, !tile.positions<"Nk"> -> tensor<8x16xf32>
  %e = tile.apply derivative @own(%s : tensor<8x16xf32>) at %qpos[%r], %kpos[%c] : !tile.positions<"Nq">, !tile.positions<"Nk"> -> tensor<8x16xf32>
  return %d, %e : tensor<8x16xf32>, tensor<8x16xf32>
}
