// RUN: ringc-opt --derive-score-gradient --split-input-file --verify-diagnostics %s

func.func private @score(%s: f32, %b: i32, %h: i32, %i: i32, %j: i32, %qrow: i32, %krow: i32) -> f32 {
  // expected-error@below {{cannot differentiate math.atan; a `derivative` of the same name as the score takes its place}}
  %r = math.atan %s : f32
  return %r : f32
}
func.func @kernel(%s: tensor<8x16xf32>, %qpos: !tile.positions<"Nq">, %kpos: !tile.positions<"Nk">, %r: i32, %c: i32) -> tensor<8x16xf32> {
  // expected-remark@below {{the derivative is asked for here}}
  %d = tile.apply derivative @score(%s : tensor<8x16xf32>) at %qpos[%r], %kpos[%c] : !tile.positions<"Nq">, !tile.positions<"Nk"> -> tensor<8x16xf32>
  return %d : tensor<8x16xf32>
}

// -----

// expected-error@below {{unknown derivative @nowhere}}
func.func private @score(%s: f32, %b: i32, %h: i32, %i: i32, %j: i32, %qrow: i32, %krow: i32) -> f32 attributes {tile.derivative = @nowhere} {
  return %s : f32
}
func.func @kernel(%s: tensor<8x16xf32>, %qpos: !tile.positions<"Nq">, %kpos: !tile.positions<"Nk">, %r: i32, %c: i32) -> tensor<8x16xf32> {
  // expected-remark@below {{the derivative is asked for here}}
  %d = tile.apply derivative @score(%s : tensor<8x16xf32>) at %qpos[%r], %kpos[%c] : !tile.positions<"Nq">, !tile.positions<"Nk"> -> tensor<8x16xf32>
  return %d : tensor<8x16xf32>
}

// -----

// expected-error@below {{is a derivative of type '(f32) -> f32', its score has type '(f32, i32, i32, i32, i32, i32, i32) -> f32'}}
func.func private @slope(%s: f32) -> f32 {
  return %s : f32
}
func.func private @score(%s: f32, %b: i32, %h: i32, %i: i32, %j: i32, %qrow: i32, %krow: i32) -> f32 attributes {tile.derivative = @slope} {
  return %s : f32
}
func.func @kernel(%s: tensor<8x16xf32>, %qpos: !tile.positions<"Nq">, %kpos: !tile.positions<"Nk">, %r: i32, %c: i32) -> tensor<8x16xf32> {
  // expected-remark@below {{the derivative is asked for here}}
  %d = tile.apply derivative @score(%s : tensor<8x16xf32>) at %qpos[%r], %kpos[%c] : !tile.positions<"Nq">, !tile.positions<"Nk"> -> tensor<8x16xf32>
  return %d : tensor<8x16xf32>
}

// -----

// The given derivative of @bent speaks of its first argument alone.
func.func private @bent(%s: f32, %t: f32) -> f32 attributes {tile.derivative = @slope} {
  %r = arith.mulf %s, %t : f32
  return %r : f32
}
func.func private @slope(%s: f32, %t: f32) -> f32 {
  return %t : f32
}
func.func private @score(%s: f32, %b: i32, %h: i32, %i: i32, %j: i32, %qrow: i32, %krow: i32) -> f32 {
  // expected-error@below {{the given derivative of @bent is with respect to its first argument; another depends on s}}
  %r = func.call @bent(%s, %s) : (f32, f32) -> f32
  return %r : f32
}
func.func @kernel(%s: tensor<8x16xf32>, %qpos: !tile.positions<"Nq">, %kpos: !tile.positions<"Nk">, %r: i32, %c: i32) -> tensor<8x16xf32> {
  // expected-remark@below {{the derivative is asked for here}}
  %d = tile.apply derivative @score(%s : tensor<8x16xf32>) at %qpos[%r], %kpos[%c] : !tile.positions<"Nq">, !tile.positions<"Nk"> -> tensor<8x16xf32>
  return %d : tensor<8x16xf32>
}

// -----

func.func private @keep(%b: i32, %h: i32, %i: i32, %j: i32, %qrow: i32, %krow: i32) -> i1 {
  %true = arith.constant true
  return %true : i1
}
func.func @kernel(%qpos: !tile.positions<"Nq">, %kpos: !tile.positions<"Nk">, %r: i32, %c: i32) -> tensor<8x16xi1> {
  // expected-error@below {{has no s to differentiate by}}
  %d = tile.apply derivative @keep at %qpos[%r], %kpos[%c] : !tile.positions<"Nq">, !tile.positions<"Nk"> -> tensor<8x16xi1>
  return %d : tensor<8x16xi1>
}
